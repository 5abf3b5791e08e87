/* SPDX-License-Identifier: MIT */
/*
 * coverage-windows.c - for coverage.sh: what a process has executed counts also
 * if it ends itself by TerminateProcess(), as kids of the suites do. The linker
 * takes the pointer to that function from here instead of a DLL.
 */
#include <windows.h>

/* GCC's: writes the counts, or adds them to those that are there. */
extern void __gcov_dump(void);

typedef BOOL WINAPI terminate(HANDLE process, UINT status);

#ifdef _WIN64
#define POINTER "__imp_TerminateProcess"
#else
#define POINTER "__imp__TerminateProcess@8"
#endif

static BOOL WINAPI
dump_and_terminate(HANDLE process, UINT status)
{
	/* By way of void (*)(void), which any function may be cast to. */
	terminate *next = (terminate *)(void (*)(void))GetProcAddress(
	    GetModuleHandleA("kernel32"), "TerminateProcess");

	if (process == GetCurrentProcess())
		__gcov_dump();
	return next(process, status);
}

extern terminate *const terminate_process __asm__(POINTER);
terminate *const terminate_process = dump_and_terminate;

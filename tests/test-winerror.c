/* SPDX-License-Identifier: MIT */
/*
 * The library's table from the codes of Windows to errno. It is looked at from
 * inside, since most of the codes cannot be had on demand.
 */
#include "harness.h"

#include <winsock2.h>
#include <windows.h>

#include "../lib/winerror.h"

/* What the library's callers are promised, or what a backend looks at. */
static const struct {
	int code;
	int error;
} winsock[] = {{0, 0}, {WSAEINTR, EINTR}, {WSAEBADF, EBADF},
    {WSAEACCES, EACCES}, {WSAEFAULT, EFAULT}, {WSAEINVAL, EINVAL},
    {WSAEMFILE, EMFILE}, {WSAEWOULDBLOCK, EAGAIN},
    {WSAEINPROGRESS, EINPROGRESS}, {WSAEALREADY, EALREADY},
    {WSAENOTSOCK, ENOTSOCK}, {WSAEOPNOTSUPP, EOPNOTSUPP},
    {WSAEAFNOSUPPORT, EAFNOSUPPORT}, {WSAEADDRINUSE, EADDRINUSE},
    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL}, {WSAENETDOWN, ENETDOWN},
    {WSAENETUNREACH, ENETUNREACH}, {WSAECONNABORTED, ECONNABORTED},
    {WSAECONNRESET, ECONNRESET}, {WSAENOBUFS, ENOBUFS}, {WSAEISCONN, EISCONN},
    {WSAENOTCONN, ENOTCONN}, {WSAESHUTDOWN, EPIPE}, {WSAETIMEDOUT, ETIMEDOUT},
    {WSAECONNREFUSED, ECONNREFUSED}, {WSAEHOSTUNREACH, EHOSTUNREACH}};

static const struct {
	unsigned long code;
	int error;
} win32[] = {{ERROR_SUCCESS, 0}, {ERROR_FILE_NOT_FOUND, ENOENT},
    {ERROR_TOO_MANY_OPEN_FILES, EMFILE}, {ERROR_ACCESS_DENIED, EACCES},
    {ERROR_INVALID_HANDLE, EBADF}, {ERROR_NOT_ENOUGH_MEMORY, ENOMEM},
    {ERROR_OUTOFMEMORY, ENOMEM}, {ERROR_NO_SYSTEM_RESOURCES, ENOMEM},
    {ERROR_NOT_SUPPORTED, ENOTSUP}, {ERROR_INVALID_PARAMETER, EINVAL},
    {ERROR_NOACCESS, EFAULT}, {ERROR_CONNECTION_REFUSED, ECONNREFUSED},
    {ERROR_NETNAME_DELETED, ECONNRESET}, {WAIT_TIMEOUT, ETIMEDOUT},
    {WSAECONNRESET, ECONNRESET}};

/* By number: the names are in <ntstatus.h>, which <windows.h> excludes. */
static const struct {
	unsigned long status;
	int error;
} nt[] = {{0x00000000, 0},       /* STATUS_SUCCESS */
    {0xc0000002, ENOTSUP},       /* STATUS_NOT_IMPLEMENTED: invalid function */
    {0xc0000008, EBADF},         /* STATUS_INVALID_HANDLE */
    {0xc000000d, EINVAL},        /* STATUS_INVALID_PARAMETER */
    {0xc0000017, ENOMEM},        /* STATUS_NO_MEMORY */
    {0xc0000022, EACCES},        /* STATUS_ACCESS_DENIED */
    {0xc0000034, ENOENT},        /* STATUS_OBJECT_NAME_NOT_FOUND */
    {0xc000009a, ENOMEM},        /* STATUS_INSUFFICIENT_RESOURCES */
    {0xc00000bb, ENOTSUP},       /* STATUS_NOT_SUPPORTED */
    {0xc000011f, EMFILE},        /* STATUS_TOO_MANY_OPENED_FILES */
    {0xc000020d, ECONNRESET},    /* STATUS_CONNECTION_RESET */
    {0xc0000236, ECONNREFUSED}}; /* STATUS_CONNECTION_REFUSED */

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(winsock_codes_are_mapped)
{
	for (size_t i = 0; i < LENGTH(winsock); i++) {
		int error = error_from_winsock(winsock[i].code);

		ck_assert_msg(error == winsock[i].error,
		    "Winsock's %d is %s, not %s", winsock[i].code,
		    error_text(error), error_text(winsock[i].error));
	}
}
END_TEST

START_TEST(win32_codes_are_mapped)
{
	for (size_t i = 0; i < LENGTH(win32); i++) {
		int error = error_from_win32(win32[i].code);

		ck_assert_msg(error == win32[i].error, "code %lu is %s, not %s",
		    win32[i].code, error_text(error),
		    error_text(win32[i].error));
	}
}
END_TEST

START_TEST(nt_codes_are_mapped)
{
	for (size_t i = 0; i < LENGTH(nt); i++) {
		int error = error_from_nt((long)nt[i].status);

		ck_assert_msg(error == nt[i].error, "status %#lx is %s, not %s",
		    nt[i].status, error_text(error), error_text(nt[i].error));
	}
}
END_TEST

/* A caller that gets -1 finds an error in errno, whatever went wrong. */
START_TEST(every_code_is_some_error)
{
	ck_assert_int_gt(error_from_winsock(-1), 0);
	ck_assert_int_gt(error_from_win32(0xffffffff), 0);
	ck_assert_int_gt(error_from_nt((long)0xc0ffffff), 0);
	for (unsigned long code = 1; code < 20000; code++) {
		int error = error_from_win32(code);

		ck_assert_msg(error > 0, "code %lu is %d", code, error);
		/* Another number here; elsewhere they are the same. */
		ck_assert_msg(EAGAIN == EWOULDBLOCK || error != EWOULDBLOCK,
		    "code %lu is EWOULDBLOCK", code);
	}
}
END_TEST

void
add_winerror(Suite *s)
{
	CASE(s, winsock_codes_are_mapped);
	CASE(s, win32_codes_are_mapped);
	CASE(s, nt_codes_are_mapped);
	CASE(s, every_code_is_some_error);
}

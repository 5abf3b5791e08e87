/* SPDX-License-Identifier: MIT */
/*
 * winerror.h - the error codes of Windows in the words of errno.
 *
 * Each function returns a positive errno, EIO for a code that it does not
 * know, and 0 for success.
 */
#ifndef LIBPOLLING_WINERROR_H
#define LIBPOLLING_WINERROR_H

#include "namespace.h"

/* Of WSAGetLastError(). */
int error_from_winsock(int code);
/* Of GetLastError(), in which Winsock's codes may come too. */
int error_from_win32(unsigned long code);
/* An NTSTATUS. */
int error_from_nt(long status);

#endif

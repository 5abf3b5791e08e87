/* SPDX-License-Identifier: MIT */
/*
 * http-server.h - what http-server.c needs from its system besides sockets:
 * threads, and the files below a folder.
 *
 * Each of the two has a part for POSIX and one for Windows. All functions
 * return 0, or -1 with errno set, unless they say otherwise.
 *
 * Names come from the network, so the second part is the one to be careful
 * with: no name must lead out of the folder. On POSIX systems a path is walked
 * name by name, and a symbolic link is not followed. Windows looks a path up
 * as a whole, so there the system is asked, once a file is open, where it
 * really is: a link may lead to another file of the folder, but not out of it.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "sockets.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef _WIN32
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#include <sys/stat.h>
#endif

/*
 * Threads
 */

struct thread {
	void (*run)(void *argument);
	void *argument;
#ifdef _WIN32
	HANDLE handle;
#else
	pthread_t handle;
#endif
};

#ifndef _WIN32
typedef pthread_mutex_t lock_type;
#define LOCK_INITIALIZER PTHREAD_MUTEX_INITIALIZER

/* For locks that are not there from the start. It cannot fail with what
 * systems really do: there is nothing to allocate. */
static inline void
initialize(lock_type *lock)
{
	pthread_mutex_init(lock, NULL);
}

static inline void
discard(lock_type *lock)
{
	pthread_mutex_destroy(lock);
}

static inline void
acquire(lock_type *lock)
{
	pthread_mutex_lock(lock);
}

static inline void
release(lock_type *lock)
{
	pthread_mutex_unlock(lock);
}

static inline void *
run_thread(void *argument)
{
	struct thread *t = argument;

	t->run(t->argument);
	return NULL;
}

/* t must stay where it is until join_thread(). */
static inline int
start_thread(struct thread *t, void (*run)(void *), void *argument)
{
	t->run = run;
	t->argument = argument;
	errno = pthread_create(&t->handle, NULL, run_thread, t);
	return errno == 0 ? 0 : -1;
}

static inline void
join_thread(struct thread *t)
{
	pthread_join(t->handle, NULL);
}

#else /* _WIN32 */

typedef SRWLOCK lock_type;
#define LOCK_INITIALIZER SRWLOCK_INIT

static inline void
initialize(lock_type *lock)
{
	InitializeSRWLock(lock);
}

static inline void
discard(lock_type *lock)
{
	(void)lock; /* which holds nothing */
}

static inline void
acquire(lock_type *lock)
{
	AcquireSRWLockExclusive(lock);
}

static inline void
release(lock_type *lock)
{
	ReleaseSRWLockExclusive(lock);
}

static inline unsigned __stdcall run_thread(void *argument)
{
	struct thread *t = argument;

	t->run(t->argument);
	return 0;
}

static inline int
start_thread(struct thread *t, void (*run)(void *), void *argument)
{
	t->run = run;
	t->argument = argument;
	/* Not CreateThread(), since the C library keeps things by thread. */
	t->handle = (HANDLE)_beginthreadex(NULL, 0, run_thread, t, 0, NULL);
	return t->handle == NULL ? -1 : 0;
}

static inline void
join_thread(struct thread *t)
{
	WaitForSingleObject(t->handle, INFINITE);
	CloseHandle(t->handle);
}
#endif

/*
 * Files below a folder
 */

#ifndef _WIN32
typedef int file_type;
#define NO_FILE (-1)

struct folder {
	int fd;
};

/* For a file that a client names: no link, and no wait for a FIFO. */
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK)

/* Leaves errno alone: what was only read has no error to tell. */
static inline void
close_file(file_type file)
{
	int saved = errno;

	(void)close(file);
	errno = saved;
}

static inline int
open_folder(struct folder *folder, const char *name)
{
	folder->fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder->fd == -1 ? -1 : 0;
}

static inline void
close_folder(struct folder *folder)
{
	close_file(folder->fd);
}

/* Walks down a path, name by name, so that neither ".." nor a symbolic link
 * can lead out. Whatever it leads to is opened. */
static inline int
walk(int folder, const char *path)
{
	char name[256]; /* longer ones there are none */
	int fd = folder;

	while (fd != -1 && *(path += strspn(path, "/")) != '\0') {
		size_t length = strcspn(path, "/");
		int above = fd, flags = OPEN_FLAGS;

		if (path[length] != '\0')
			flags |= O_DIRECTORY;
		errno = ENAMETOOLONG;
		fd = -1;
		if (length < sizeof name) {
			memcpy(name, path, length);
			name[length] = '\0';
			errno = EACCES;
			if (strcmp(name, "..") != 0)
				fd = openat(above, name, flags);
		}
		if (above != folder)
			close_file(above);
		path += length;
	}
	return fd;
}

/* Opens the file that a path names below the folder and stores its size.
 * Returns NO_FILE with errno set if there is none, to EISDIR if it is a
 * folder, and to EACCES if it must not be opened or is no regular file. */
static inline file_type
open_below(const struct folder *folder, const char *path, int64_t *size)
{
	int fd = walk(folder->fd, path);
	struct stat st;

	if (fd == folder->fd)
		errno = EISDIR;
	if (fd == -1 || fd == folder->fd)
		return NO_FILE;
	if (fstat(fd, &st) == 0) {
		*size = st.st_size;
		if (S_ISREG(st.st_mode))
			return fd;
		errno = S_ISDIR(st.st_mode) ? EISDIR : EACCES;
	}
	close_file(fd);
	return NO_FILE;
}

/* Reads some bytes from a place in the file. Returns how many; 0 at its end,
 * -1 with errno set. */
static inline ssize_t
read_file(file_type file, void *data, size_t length, int64_t offset)
{
	return pread(file, data, length, (off_t)offset);
}

#else /* _WIN32 */

typedef HANDLE file_type;
#define NO_FILE     INVALID_HANDLE_VALUE
#define LONGEST     16384 /* characters of a path, the folder's included */
#define SHARE_ALL   (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
#define INFORMATION BY_HANDLE_FILE_INFORMATION

struct folder {
	HANDLE handle;      /* held so that nobody renames it */
	size_t length;      /* of its name, without a last backslash */
	wchar_t name[1024]; /* such as \\?\C:\www: the whole and only one */
};

static inline int
file_errno(DWORD code)
{
	switch (code) {
	case ERROR_FILE_NOT_FOUND:
	case ERROR_PATH_NOT_FOUND:
	case ERROR_INVALID_NAME:
	case ERROR_BAD_PATHNAME:
	case ERROR_DIRECTORY:
	case ERROR_FILENAME_EXCED_RANGE:
	case ERROR_CANT_RESOLVE_FILENAME:
		return ENOENT;
	case ERROR_ACCESS_DENIED:
	case ERROR_SHARING_VIOLATION:
		return EACCES;
	case ERROR_TOO_MANY_OPEN_FILES:
		return EMFILE;
	case ERROR_NOT_ENOUGH_MEMORY:
	case ERROR_OUTOFMEMORY:
	case ERROR_NO_SYSTEM_RESOURCES:
		return ENOMEM;
	default:
		return EIO;
	}
}

static inline void
close_file(file_type file)
{
	CloseHandle(file);
}

/* The whole name of what is open, free of links. Returns its length, 0 if it
 * has none or a longer one. */
static inline size_t
real_name(HANDLE file, wchar_t *name, size_t size)
{
	DWORD n = GetFinalPathNameByHandleW(
	    file, name, (DWORD)size, FILE_NAME_NORMALIZED | VOLUME_NAME_DOS);

	return n < size ? n : 0;
}

static inline int
open_folder(struct folder *folder, const char *name)
{
	wchar_t *end;
	INFORMATION about;

	folder->handle = CreateFileA(name, GENERIC_READ,
	    FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING,
	    FILE_FLAG_BACKUP_SEMANTICS, NULL);
	if (folder->handle == INVALID_HANDLE_VALUE) {
		errno = file_errno(GetLastError());
		return -1;
	}
	errno = ENOTDIR;
	if (!GetFileInformationByHandle(folder->handle, &about) ||
	    !(about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
		goto close;
	errno = ENAMETOOLONG;
	folder->length = real_name(folder->handle, folder->name,
	    sizeof folder->name / sizeof folder->name[0]);
	if (folder->length == 0)
		goto close;
	end = &folder->name[folder->length];
	if (end[-1] == L'\\') /* it is a whole drive */
		folder->length--;
	return 0;
close:
	close_file(folder->handle);
	return -1;
}

static inline void
close_folder(struct folder *folder)
{
	close_file(folder->handle);
}

/* Whether old habits make a device of a name: NUL and COM1, nul.txt too. */
static inline bool
is_device(const char *name, size_t length)
{
	static const char *const devices[] = {
	    "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};
	size_t n = 0;

	while (n < length && name[n] != '.')
		n++;
	while (n > 0 && name[n - 1] == ' ')
		n--;
	for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
		if (n == strlen(devices[i]) &&
		    _strnicmp(name, devices[i], n) == 0)
			return true;
	}
	if (n < 4 ||
	    (_strnicmp(name, "COM", 3) != 0 && _strnicmp(name, "LPT", 3) != 0))
		return false;
	if (n == 4)
		return name[3] >= '0' && name[3] <= '9';
	/* The small digits 1, 2 and 3 of Latin-1 count as well. */
	return n == 5 && (memcmp(name + 3, "\xc2\xb9", 2) == 0 ||
			     memcmp(name + 3, "\xc2\xb2", 2) == 0 ||
			     memcmp(name + 3, "\xc2\xb3", 2) == 0);
}

/* Whether a file can have this name and no other meaning. A backslash would
 * make two names of it, a colon a drive or a second stream of a file, a dot
 * or a blank at the end would be dropped. */
static inline bool
is_plain(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)name[i] < ' ' ||
		    strchr("\\:*?\"<>|", name[i]) != NULL)
			return false;
	}
	return name[length - 1] != '.' && name[length - 1] != ' ' &&
	       !is_device(name, length);
}

/* Writes the whole name of what a path, in UTF-8, names below the folder. It
 * begins as the folder's, with \\?\, after which Windows takes all names as
 * they are. Returns -1 with errno set if the path has one that must not be. */
static inline int
whole_name(const struct folder *folder, const char *path, wchar_t *whole)
{
	size_t used = folder->length;

	memcpy(whole, folder->name, used * sizeof *whole);
	while (*(path += strspn(path, "/")) != '\0') {
		size_t length = strcspn(path, "/");
		int n;

		if (length == 2 && memcmp(path, "..", 2) == 0) {
			errno = EACCES;
			return -1;
		}
		if (length == 1 && *path == '.') {
			path++;
			continue;
		}
		errno = ENOENT;
		if (used + length + 2 > LONGEST || !is_plain(path, length))
			return -1;
		whole[used++] = L'\\';
		n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path,
		    (int)length, whole + used, (int)(LONGEST - used - 1));
		if (n <= 0)
			return -1;
		used += (size_t)n;
		path += length;
	}
	whole[used] = L'\0';
	return 0;
}

/* Whether what is open is in the folder, wherever links may have led. */
static inline bool
is_below(const struct folder *folder, HANDLE file)
{
	wchar_t name[LONGEST];

	return real_name(file, name, LONGEST) > folder->length &&
	       memcmp(name, folder->name, folder->length * sizeof name[0]) ==
		   0 &&
	       name[folder->length] == L'\\';
}

static inline file_type
open_below(const struct folder *folder, const char *path, int64_t *size)
{
	wchar_t whole[LONGEST];
	INFORMATION about;
	HANDLE file;

	if (whole_name(folder, path, whole) != 0)
		return NO_FILE;
	errno = EISDIR;
	if (whole[folder->length] == L'\0')
		return NO_FILE;
	file = CreateFileW(whole, GENERIC_READ, SHARE_ALL, NULL, OPEN_EXISTING,
	    FILE_FLAG_BACKUP_SEMANTICS, NULL);
	if (file == INVALID_HANDLE_VALUE) {
		errno = file_errno(GetLastError());
		return NO_FILE;
	}
	errno = EACCES;
	if (GetFileType(file) == FILE_TYPE_DISK && is_below(folder, file) &&
	    GetFileInformationByHandle(file, &about)) {
		*size = (int64_t)((uint64_t)about.nFileSizeHigh << 32 |
				  about.nFileSizeLow);
		if (!(about.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY))
			return file;
		errno = EISDIR;
	}
	close_file(file);
	return NO_FILE;
}

static inline ssize_t
read_file(file_type file, void *data, size_t length, int64_t offset)
{
	OVERLAPPED place = {.Offset = (DWORD)((uint64_t)offset & 0xffffffff),
	    .OffsetHigh = (DWORD)((uint64_t)offset >> 32)};
	DWORD n = 0;

	if (ReadFile(file, data, (DWORD)length, &n, &place) ||
	    GetLastError() == ERROR_HANDLE_EOF)
		return (ssize_t)n;
	errno = EIO;
	return -1;
}
#endif /* _WIN32 */

#endif /* HTTP_SERVER_H */

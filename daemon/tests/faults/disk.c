/* A disk that fails when it is told to: stands between the daemon and the C library (LD_PRELOAD), so that the daemon under
 * test is the one that is shipped. The file that EARMARK_FAULT names holds one order: CALL PART-OF-A-PATH ERRNO. While it is
 * there, that call fails with that error on every file with such a path; without it, nothing happens. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(const char *call, const char *path) {
  char text[512], wanted[32], part[256];
  const char *orders = getenv("EARMARK_FAULT");
  int number, file = orders ? syscall(SYS_openat, AT_FDCWD, orders, O_RDONLY) : -1;
  if (file < 0) return 0;
  ssize_t length = syscall(SYS_read, file, text, sizeof text - 1);
  syscall(SYS_close, file);
  if (length <= 0) return 0;
  text[length] = 0;
  if (sscanf(text, "%31s %255s %d", wanted, part, &number) != 3) return 0;
  if (strcmp(wanted, call) != 0 || strstr(path, part) == NULL) return 0;
  errno = number;
  return 1;
}

static int fails_at(const char *call, int file) {
  char link[64], path[512];
  int before = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = before;
  if (length < 0) return 0;
  path[length] = 0;
  return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
  return fails_at("write", file) ? -1 : REAL(pwrite64)(file, bytes, length, offset);
}

ssize_t pread64(int file, void *bytes, size_t length, off64_t offset) {
  return fails_at("read", file) ? -1 : REAL(pread64)(file, bytes, length, offset);
}

int fdatasync(int file) { return fails_at("sync", file) ? -1 : REAL(fdatasync)(file); }

int fsync(int file) { return fails_at("sync", file) ? -1 : REAL(fsync)(file); }

int rename(const char *from, const char *to) { return fails("rename", from) ? -1 : REAL(rename)(from, to); }

int unlink(const char *path) { return fails("remove", path) ? -1 : REAL(unlink)(path); }

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  int mode = va_arg(rest, int);
  va_end(rest);
  return fails("open", path) ? -1 : REAL(open64)(path, flags, mode);
}

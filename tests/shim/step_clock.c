/* A preloaded shim that steps the wall clock of a running process.
 *
 * What clock_gettime(CLOCK_REALTIME), gettimeofday and time return is moved by the number of
 * nanoseconds that stands, as a 64-bit integer of the machine, at the beginning of the file
 * $CAIRN_CLOCK_FILE, which a test maps and changes while the process runs. The monotonic clock is
 * left alone: the kernel never steps it, and what waits for it waits in the kernel.
 *
 * Thread safety: the number is read in one piece; the file is mapped before main.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { kNanoseconds = 1000000000 };

static const volatile int64_t* offset;
static int (*real_clock_gettime)(clockid_t, struct timespec*);

__attribute__((constructor)) static void MapFile(void) {
  real_clock_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  const char* const path = getenv("CAIRN_CLOCK_FILE");
  const int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  void* const mapped =
      fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) {
    fprintf(stderr, "step_clock: CAIRN_CLOCK_FILE '%s': %s\n", path == NULL ? "" : path,
            strerror(errno));
    _exit(99);
  }
  close(fd);
  offset = mapped;
}

int clock_gettime(clockid_t clock, struct timespec* now) {
  /* Others may ask before this library's constructor has run. */
  if (real_clock_gettime == NULL) {
    real_clock_gettime = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  }
  const int result = real_clock_gettime(clock, now);
  if (result != 0 || offset == NULL) return result;
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return result;
  const int64_t total = (int64_t)now->tv_sec * kNanoseconds + now->tv_nsec + *offset;
  now->tv_sec = total / kNanoseconds;
  now->tv_nsec = total % kNanoseconds;
  return 0;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
  (void)zone;
  struct timespec time;
  if (clock_gettime(CLOCK_REALTIME, &time) != 0) return -1;
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return (time_t)-1;
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}

/* A preloaded shim that keeps, beside a folder, what of it would survive a power cut.
 *
 * kill -9 ends a process but keeps the page cache, so it can't show that a file was never synced.
 * This shim maintains a shadow of the folder: what was made durable, and nothing else. A test kills
 * the process, throws the folder away, and goes on with one rebuilt from the shadow
 * (tests/cluster/shadow.py).
 *
 * The model, the strictest that POSIX allows:
 *   - the bytes and the size of a file are those at its last fsync or fdatasync;
 *   - the names in a folder are those at the folder's last fsync: a file that was created, renamed
 *     or removed since then still has its old name, or none.
 *
 * The shadow:
 *   $CAIRN_SHIM_SHADOW/inodes/<n>   the durable bytes of the file with inode number n
 *   $CAIRN_SHIM_SHADOW/dirs/<n>     the durable names of the folder with inode number n, a line
 * each:
 *                                   "<inode> <f|d> <name>"
 * A file is copied whole at each sync, in place, so a kill in the middle leaves each byte as it was
 * or as it was to become, like a sync that a power cut ends. A list of names is replaced by a
 * rename. Everything that was ever listed or synced is kept open, so that inode numbers are not
 * used again within a life of the process.
 *
 * Only fsync and fdatasync are wrapped; writes of any kind go to the real files. Files outside
 * $CAIRN_SHIM_ROOT are left alone.
 *
 * Faults, from the Nth sync of a process on, of files or of folders:
 *   CAIRN_SHIM_LIE=files@N   (or folders@N)  syncs do nothing and succeed: a test that still passes
 *                                            has no teeth
 *   CAIRN_SHIM_FAIL=files@N  (or folders@N)  the Nth sync does nothing and fails with EIO; later
 * ones do nothing and succeed, as a kernel may that has dropped the dirty pages
 *
 * Thread safety: one lock around each sync.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kMaxPinned = 65536, kBufferBytes = 1 << 20 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static ino_t pinned[kMaxPinned];
static int pinned_count;
static char buffer[kBufferBytes];

static void Die(const char* what) {
  fprintf(stderr, "drop_unsynced: %s: %s\n", what, strerror(errno));
  _exit(99);
}

/* Keeps the inode from being given to another file. `path` may be a link in /proc. */
static void Pin(ino_t inode, const char* path) {
  for (int i = 0; i < pinned_count; ++i) {
    if (pinned[i] == inode) return;
  }
  if (pinned_count == kMaxPinned || open(path, O_PATH | O_CLOEXEC) < 0) Die("pin");
  pinned[pinned_count++] = inode;
}

/* Does the descriptor lead into the folder that is watched? */
static int Watched(int fd) {
  const char* root = getenv("CAIRN_SHIM_ROOT");
  char link[64];
  char path[PATH_MAX];
  if (root == NULL) return 0;
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof(path) - 1);
  if (size < 0) return 0;
  path[size] = '\0';
  const size_t length = strlen(root);
  return strncmp(path, root, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void ShadowPath(char* out, size_t size, const char* kind, ino_t inode, const char* suffix) {
  const char* shadow = getenv("CAIRN_SHIM_SHADOW");
  if (shadow == NULL) Die("CAIRN_SHIM_SHADOW is not set");
  snprintf(out, size, "%s/%s/%ju%s", shadow, kind, (uintmax_t)inode, suffix);
}

/* Copies the file's bytes, as they are now, into the shadow. */
static void CopyFile(int fd, const struct stat* info) {
  char link[64];
  char target[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  Pin(info->st_ino, link);
  /* The caller's descriptor may be write-only. */
  const int from = open(link, O_RDONLY | O_CLOEXEC);
  ShadowPath(target, sizeof(target), "inodes", info->st_ino, "");
  const int to = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (from < 0 || to < 0) Die("copy");
  off_t offset = 0;
  for (;;) {
    const ssize_t size = pread(from, buffer, sizeof(buffer), offset);
    if (size < 0) Die("read");
    if (size == 0) break;
    for (ssize_t done = 0; done < size;) {
      const ssize_t written = pwrite(to, buffer + done, (size_t)(size - done), offset + done);
      if (written <= 0) Die("write");
      done += written;
    }
    offset += size;
  }
  if (ftruncate(to, offset) != 0) Die("truncate");
  close(from);
  close(to);
}

/* Writes the folder's names, as they are now, into the shadow. */
static void ListFolder(int fd, const struct stat* info) {
  char path[PATH_MAX];
  char target[PATH_MAX];
  char fresh[PATH_MAX];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  ShadowPath(target, sizeof(target), "dirs", info->st_ino, "");
  ShadowPath(fresh, sizeof(fresh), "dirs", info->st_ino, ".new");
  DIR* folder = opendir(path);
  FILE* list = fopen(fresh, "we");
  if (folder == NULL || list == NULL) Die("list");
  for (;;) {
    const struct dirent* entry = readdir(folder);
    if (entry == NULL) break;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    char name[PATH_MAX];
    struct stat child;
    snprintf(name, sizeof(name), "/proc/self/fd/%d/%s", fd, entry->d_name);
    if (lstat(name, &child) != 0) continue; /* removed meanwhile */
    Pin(child.st_ino, name);
    fprintf(list, "%ju %c %s\n", (uintmax_t)child.st_ino, S_ISDIR(child.st_mode) ? 'd' : 'f',
            entry->d_name);
  }
  closedir(folder);
  if (fclose(list) != 0 || rename(fresh, target) != 0) Die("list");
}

/* The N of a variable "files@N" or "folders@N", if it is about this kind; LONG_MAX if not. */
static long FaultFrom(const char* variable, int is_folder) {
  const char* value = getenv(variable);
  const char* kind = is_folder ? "folders@" : "files@";
  if (value == NULL || strncmp(value, kind, strlen(kind)) != 0) return LONG_MAX;
  return atol(value + strlen(kind));
}

static int Sync(int fd, int (*real)(int)) {
  static long syncs[2];
  struct stat info;
  if (fstat(fd, &info) != 0 || !Watched(fd)) return real(fd);
  const int is_folder = S_ISDIR(info.st_mode);
  int result = 0;
  /* The real sync is left out: the shadow is what counts, and the test runs faster. */
  pthread_mutex_lock(&lock);
  const long number = ++syncs[is_folder];
  const long fail = FaultFrom("CAIRN_SHIM_FAIL", is_folder);
  if (number == fail) {
    result = -1;
  } else if (number < fail && number < FaultFrom("CAIRN_SHIM_LIE", is_folder)) {
    if (is_folder) {
      ListFolder(fd, &info);
    } else {
      CopyFile(fd, &info);
    }
  }
  pthread_mutex_unlock(&lock);
  if (result != 0) errno = EIO;
  return result;
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "fsync");
  return Sync(fd, real);
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "fdatasync");
  return Sync(fd, real);
}

/* Preloaded into the daemon and its server: keeps, beside the files, what a power cut would leave of them.
 *
 * Below POWER_ROOT, what is written is in the page cache until it is fsynced. Each fsync copies what was written since the last
 * one to POWER_KEPT/<inode>; each name that comes, goes or moves is a line in POWER_KEPT/journal, and so is each fsync of a
 * directory, which is what makes names last. Inodes that lose their name are linked in POWER_KEPT, so that none is used anew.
 * What is not mirrored: locks, sockets, logs, the wal-index of SQLite, which are made anew at each start.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 8192
#define REAL(name) ((__typeof__(name) *)real(#name))

static char root[PATH_MAX], kept[PATH_MAX];
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct { ino_t ino; off_t low, high; } written[FDS]; /* by descriptor: the file, and what of it is not fsynced */
static __thread int inside;

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

static void forked(void) { pthread_mutex_init(&guard, NULL); } /* another thread may have held it */

__attribute__((constructor)) static void begin(void) {
    pthread_atfork(NULL, NULL, forked);
    const char *r = getenv("POWER_ROOT"), *k = getenv("POWER_KEPT");
    if (r && k) {
        strncpy(root, r, sizeof root - 1);
        strncpy(kept, k, sizeof kept - 1);
    }
}

static int ends(const char *path, const char *tail) {
    size_t n = strlen(path), m = strlen(tail);
    return n >= m && !strcmp(path + n - m, tail);
}

static int watched(const char *path) {
    size_t n = strlen(root);
    if (!n || strncmp(path, root, n) || (path[n] && path[n] != '/')) return 0;
    return !(ends(path, ".lock") || ends(path, ".sock") || ends(path, ".log") || ends(path, ".pid") || ends(path, "-shm"));
}

/* The absolute path of what may be relative to the working directory or to a directory's descriptor. */
static int absolute(int at, const char *path, char *into) {
    char base[PATH_MAX];
    if (path[0] == '/') return snprintf(into, PATH_MAX, "%s", path) < PATH_MAX;
    if (at == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t n = readlink(link, base, sizeof base - 1);
        if (n < 0) return 0;
        base[n] = 0;
    }
    return snprintf(into, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}

static int path_of(int fd, char *into) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, into, PATH_MAX - 1);
    if (n < 0) return 0;
    into[n] = 0;
    return 1;
}

static void tell(const char *format, ...) {
    char path[PATH_MAX + 16], line[3 * PATH_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/journal", kept);
    int fd = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || REAL(write)(fd, line, n) != n) abort();
    REAL(close)(fd);
}

static int mirror(ino_t ino, int flags) {
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%lu", kept, (unsigned long)ino);
    return REAL(open)(path, flags | O_CLOEXEC, 0600);
}

static void copy(int from, int to, off_t low, off_t high) {
    static __thread char buffer[1 << 16];
    while (low < high) {
        size_t wanted = high - low < (off_t)sizeof buffer ? (size_t)(high - low) : sizeof buffer;
        ssize_t n = pread(from, buffer, wanted, low);
        if (n <= 0) return;
        if (REAL(pwrite)(to, buffer, n, low) != n) abort();
        low += n;
    }
}

/* What is there before the first write since the last cut has lasted: all of it is durable. */
static void remember(const char *path, ino_t ino) {
    int to = mirror(ino, O_WRONLY | O_CREAT | O_EXCL);
    if (to < 0) return;
    int from = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (from >= 0 && !fstat(from, &st)) copy(from, to, 0, st.st_size);
    if (from >= 0) REAL(close)(from);
    REAL(close)(to);
}

static int opened(int fd, const char *path, int was, ino_t before, int flags) {
    struct stat st;
    if (fd < 0 || fd >= FDS || fstat(fd, &st) || !S_ISREG(st.st_mode)) return fd;
    if (!was || before != st.st_ino) {
        int to = mirror(st.st_ino, O_WRONLY | O_CREAT | O_TRUNC);
        if (to >= 0) REAL(close)(to);
        tell("C\t%s\t%lu\n", path, (unsigned long)st.st_ino);
    }
    if ((flags & O_ACCMODE) != O_RDONLY) {
        written[fd].ino = st.st_ino;
        written[fd].low = written[fd].high = 0;
    }
    return fd;
}

static int opening(int at, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat st;
    if (inside || !root[0] || (flags & O_ACCMODE) == O_RDONLY || !absolute(at, name, path) || !watched(path))
        return REAL(openat)(at, name, flags, mode);
    inside = 1;
    pthread_mutex_lock(&guard);
    int was = !stat(path, &st);
    if (was && S_ISREG(st.st_mode)) remember(path, st.st_ino);
    int fd = opened(REAL(openat)(at, name, flags, mode), path, was, st.st_ino, flags);
    pthread_mutex_unlock(&guard);
    inside = 0;
    return fd;
}

#define MODE(flags)                                      \
    mode_t mode = 0;                                     \
    if ((flags) & (O_CREAT | O_TMPFILE)) {               \
        va_list args;                                    \
        va_start(args, flags);                           \
        mode = va_arg(args, mode_t);                     \
        va_end(args);                                    \
    }

int open(const char *name, int flags, ...) { MODE(flags) return opening(AT_FDCWD, name, flags, mode); }
int open64(const char *name, int flags, ...) { MODE(flags) return opening(AT_FDCWD, name, flags | O_LARGEFILE, mode); }
int openat(int at, const char *name, int flags, ...) { MODE(flags) return opening(at, name, flags, mode); }
int openat64(int at, const char *name, int flags, ...) { MODE(flags) return opening(at, name, flags | O_LARGEFILE, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) written[fd].ino = 0;
    return REAL(close)(fd);
}

static ssize_t wrote(int fd, ssize_t n, off_t at) {
    if (n > 0 && fd >= 0 && fd < FDS && written[fd].ino) {
        off_t low = at < 0 ? lseek(fd, 0, SEEK_CUR) - n : at, high = low + n;
        pthread_mutex_lock(&guard);
        if (written[fd].high == written[fd].low || low < written[fd].low) written[fd].low = low;
        if (high > written[fd].high) written[fd].high = high;
        pthread_mutex_unlock(&guard);
    }
    return n;
}

ssize_t write(int fd, const void *from, size_t n) { return wrote(fd, REAL(write)(fd, from, n), -1); }
ssize_t writev(int fd, const struct iovec *from, int n) { return wrote(fd, REAL(writev)(fd, from, n), -1); }
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { return wrote(fd, REAL(pwrite)(fd, from, n, at), at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { return wrote(fd, REAL(pwrite)(fd, from, n, at), at); }

/* An fsync that succeeded makes what was written before it began last: that, and no more, goes into the mirror. */
static int synced(int fd, int (*sync)(int)) {
    char path[PATH_MAX];
    struct stat st;
    if (inside || !root[0] || fstat(fd, &st) || !path_of(fd, path) || !watched(path)) return sync(fd);
    inside = 1;
    pthread_mutex_lock(&guard);
    off_t low = 0, high = 0;
    if (fd < FDS && written[fd].ino == st.st_ino) {
        low = written[fd].low, high = written[fd].high;
        written[fd].low = written[fd].high = 0;
    }
    int failed = sync(fd);
    if (!failed && S_ISDIR(st.st_mode)) tell("D\t%s\n", path);
    if (!failed && S_ISREG(st.st_mode)) {
        struct stat had;
        int to = mirror(st.st_ino, O_RDWR | O_CREAT);
        int from = fd, mode = fcntl(fd, F_GETFL) & O_ACCMODE;
        if (mode == O_WRONLY) from = REAL(open)(path, O_RDONLY | O_CLOEXEC);
        if (to < 0 || from < 0 || fstat(to, &had)) abort();
        if (high > st.st_size) high = st.st_size;
        copy(from, to, low, high);
        if (had.st_size < st.st_size) copy(from, to, had.st_size < low ? had.st_size : low, st.st_size);
        if (ftruncate(to, st.st_size)) abort();
        if (from != fd) REAL(close)(from);
        REAL(close)(to);
    }
    pthread_mutex_unlock(&guard);
    inside = 0;
    return failed;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

/* Keep an inode that loses its name, so that its number is not given to another file. */
static void keep(const char *path, ino_t ino) {
    char link_path[PATH_MAX + 32];
    snprintf(link_path, sizeof link_path, "%s/gone.%lu", kept, (unsigned long)ino);
    if (REAL(link)(path, link_path) && errno != EEXIST) abort();
}

static int renaming(int from_at, const char *from, int to_at, const char *to) {
    char old[PATH_MAX], new[PATH_MAX];
    struct stat moved, replaced;
    if (inside || !root[0] || !absolute(from_at, from, old) || !absolute(to_at, to, new) || !watched(new) || stat(old, &moved))
        return REAL(renameat)(from_at, from, to_at, to);
    inside = 1;
    pthread_mutex_lock(&guard);
    if (!stat(new, &replaced) && S_ISREG(replaced.st_mode)) remember(new, replaced.st_ino), keep(new, replaced.st_ino);
    int failed = REAL(renameat)(from_at, from, to_at, to);
    if (!failed) tell("R\t%s\t%s\t%lu\n", old, new, (unsigned long)moved.st_ino);
    pthread_mutex_unlock(&guard);
    inside = 0;
    return failed;
}

int rename(const char *from, const char *to) { return renaming(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_at, const char *from, int to_at, const char *to) { return renaming(from_at, from, to_at, to); }

static int removing(int at, const char *name, int flags) {
    char path[PATH_MAX];
    struct stat st;
    if (inside || !root[0] || flags || !absolute(at, name, path) || !watched(path) || stat(path, &st) || !S_ISREG(st.st_mode))
        return REAL(unlinkat)(at, name, flags);
    inside = 1;
    pthread_mutex_lock(&guard);
    remember(path, st.st_ino), keep(path, st.st_ino);
    int failed = REAL(unlinkat)(at, name, flags);
    if (!failed) tell("U\t%s\n", path);
    pthread_mutex_unlock(&guard);
    inside = 0;
    return failed;
}

int unlink(const char *name) { return removing(AT_FDCWD, name, 0); }
int unlinkat(int at, const char *name, int flags) { return removing(at, name, flags); }

int linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
    char path[PATH_MAX];
    struct stat st;
    int failed = REAL(linkat)(from_at, from, to_at, to, flags);
    if (!failed && !inside && root[0] && absolute(to_at, to, path) && watched(path) && !stat(path, &st))
        tell("C\t%s\t%lu\n", path, (unsigned long)st.st_ino);
    return failed;
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

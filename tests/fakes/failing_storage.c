/*
 * Storage that fails, for the processes of a test: preloaded into them, below SQLite.
 *
 * After each successful fsync of a file in FAULT_FOLDER, the file is copied to FAULT_SHADOW: that is what a
 * power loss leaves at least. The file that FAULT_CONTROL names says what fails now: "eio" (every sync),
 * "short" (every write is half done, and then the disk is full), or nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t copying = PTHREAD_MUTEX_INITIALIZER;
static __thread int is_full;

static void *find_next(const char *name) { return dlsym(RTLD_NEXT, name); }

/* Find the name of a file in the folder; NULL if it is elsewhere, or a folder. */
static const char *find_name(int descriptor, char *path) {
    char link[64];
    struct stat found;
    const char *folder = getenv("FAULT_FOLDER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (folder == NULL || length < 0 || fstat(descriptor, &found) != 0 || S_ISDIR(found.st_mode)) return NULL;
    path[length] = 0;
    size_t prefix = strlen(folder);
    if (strncmp(path, folder, prefix) != 0 || path[prefix] != '/') return NULL;
    return strchr(path + prefix + 1, '/') == NULL ? path + prefix + 1 : NULL;
}

static int fails_by(const char *fault) {
    char text[16] = "";
    const char *control = getenv("FAULT_CONTROL");
    int descriptor = control == NULL ? -1 : open(control, O_RDONLY);
    if (descriptor < 0) return 0;
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return length > 0 && strncmp(text, fault, strlen(fault)) == 0;
}

static void copy(const char *path, const char *name) {
    char target[PATH_MAX], partial[PATH_MAX + 16], buffer[65536];
    snprintf(target, sizeof target, "%s/%s", getenv("FAULT_SHADOW"), name);
    snprintf(partial, sizeof partial, "%s.%d", target, getpid());
    ssize_t (*really_write)(int, const void *, size_t) = find_next("write");
    int from = open(path, O_RDONLY), to = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t length;
    while ((length = read(from, buffer, sizeof buffer)) > 0)
        if (really_write(to, buffer, length) != length) abort();
    if (length < 0) abort();
    close(from);
    close(to);
    rename(partial, target);
}

static int sync_file(int descriptor, const char *function) {
    char path[PATH_MAX];
    int (*really)(int) = find_next(function);
    const char *name = find_name(descriptor, path);
    if (name == NULL) return really(descriptor);
    if (fails_by("eio")) {
        errno = EIO;
        return -1;
    }
    pthread_mutex_lock(&copying);
    int result = really(descriptor);
    if (result == 0) copy(path, name);
    pthread_mutex_unlock(&copying);
    return result;
}

int fsync(int descriptor) { return sync_file(descriptor, "fsync"); }
int fdatasync(int descriptor) { return sync_file(descriptor, "fdatasync"); }

/* Shorten a write; -1 if the disk is full. */
static ssize_t shorten(int descriptor, size_t count) {
    char path[PATH_MAX];
    if (find_name(descriptor, path) == NULL || !fails_by("short")) {
        is_full = 0;
        return count;
    }
    is_full = !is_full;
    if (!is_full) {
        errno = ENOSPC;
        return -1;
    }
    return count > 1 ? count / 2 : count;
}

ssize_t write(int descriptor, const void *buffer, size_t count) {
    ssize_t (*really)(int, const void *, size_t) = find_next("write");
    ssize_t allowed = shorten(descriptor, count);
    return allowed < 0 ? -1 : really(descriptor, buffer, allowed);
}

ssize_t pwrite(int descriptor, const void *buffer, size_t count, off_t offset) {
    ssize_t (*really)(int, const void *, size_t, off_t) = find_next("pwrite");
    ssize_t allowed = shorten(descriptor, count);
    return allowed < 0 ? -1 : really(descriptor, buffer, allowed, offset);
}

ssize_t pwrite64(int descriptor, const void *buffer, size_t count, off64_t offset) {
    ssize_t (*really)(int, const void *, size_t, off64_t) = find_next("pwrite64");
    ssize_t allowed = shorten(descriptor, count);
    return allowed < 0 ? -1 : really(descriptor, buffer, allowed, offset);
}

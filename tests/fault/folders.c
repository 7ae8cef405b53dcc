/* SPDX-License-Identifier: Apache-2.0 */
#include "folders.h"

#include "../qn_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void folder_make(char out[FOLDER_PATH])
{
    bool shm = access("/dev/shm", W_OK) == 0;
    (void)snprintf(out, FOLDER_PATH, "%s/quern-XXXXXX", shm ? "/dev/shm" : "/tmp");
    T_OK(mkdtemp(out) != NULL);
}

unsigned char *folder_read_file(const char *path, size_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    T_OK(fd >= 0 && fstat(fd, &st) == 0);
    unsigned char *bytes = malloc((size_t)st.st_size + 1);
    T_OK(bytes != NULL && read(fd, bytes, (size_t)st.st_size) == st.st_size);
    (void)close(fd);
    *n = (size_t)st.st_size;
    return bytes;
}

void folder_write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    T_OK(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    (void)close(fd);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

/* `entry` for each name in the folder: its path, and whether it is a folder. */
static void each_entry(const char *path,
                       void (*entry)(void *ctx, const char *path, const char *name,
                                     bool is_dir),
                       void *ctx)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, not_dots, by_name);
    T_OK(n >= 0);
    for (int i = 0; i < n; i++) {
        char child[FOLDER_PATH];
        struct stat st;
        T_OK(snprintf(child, sizeof child, "%s/%s", path, list[i]->d_name) <
             (int)sizeof child);
        /* A file that another thread removed meanwhile is as good as never seen. */
        if (lstat(child, &st) == 0)
            entry(ctx, child, list[i]->d_name, S_ISDIR(st.st_mode));
        free(list[i]);
    }
    free(list);
}

static void copy_entry(void *ctx, const char *path, const char *name, bool is_dir)
{
    char to[FOLDER_PATH];
    T_OK(snprintf(to, sizeof to, "%s/%s", (const char *)ctx, name) < (int)sizeof to);
    if (is_dir) {
        folder_copy(path, to);
        return;
    }
    size_t n = 0;
    unsigned char *bytes = folder_read_file(path, &n);
    folder_write_file(to, bytes, n);
    free(bytes);
}

void folder_copy(const char *from, const char *to)
{
    char target[FOLDER_PATH];
    (void)snprintf(target, sizeof target, "%s", to);
    T_OK(mkdir(to, 0777) == 0);
    each_entry(from, copy_entry, target);
}

static void remove_entry(void *ctx, const char *path, const char *name, bool is_dir)
{
    (void)ctx;
    (void)name;
    if (is_dir)
        folder_remove(path);
    else
        T_OK(unlink(path) == 0);
}

void folder_remove(const char *path)
{
    each_entry(path, remove_entry, NULL);
    T_OK(rmdir(path) == 0);
}

typedef struct walk {
    void (*each)(void *ctx, const char *file);
    void *ctx;
} walk;

static void walk_entry(void *ctx, const char *path, const char *name, bool is_dir)
{
    walk *w = ctx;
    (void)name;
    if (is_dir)
        folder_walk(path, w->each, w->ctx);
    else
        w->each(w->ctx, path);
}

void folder_walk(const char *path, void (*each)(void *ctx, const char *file), void *ctx)
{
    walk w = {each, ctx};
    each_entry(path, walk_entry, &w);
}

static void count_entry(void *ctx, const char *path, const char *name, bool is_dir)
{
    (void)path;
    (void)name;
    (void)is_dir;
    ++*(int *)ctx;
}

int folder_open_files(void)
{
    int n = 0;
    each_entry("/proc/self/fd", count_entry, &n);
    return n;
}

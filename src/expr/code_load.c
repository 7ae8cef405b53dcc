/* SPDX-License-Identifier: Apache-2.0 */
/* code_load.c -- finding and loading the module of the back end. */
#define _GNU_SOURCE /* dladdr */
#include "expr/code_backend.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MODULE "libquern_llvm.so"
enum { PATH_SIZE = 1024 };

static const char in_this_file;

/* The folder of the file that this code is in, program or library. */
static bool own_folder(char *out, size_t size)
{
    Dl_info info;
    if (dladdr(&in_this_file, &info) == 0 || info.dli_fname == NULL) return false;
    const char *end = strrchr(info.dli_fname, '/');
    size_t n = end == NULL ? 0 : (size_t)(end - info.dli_fname);
    if (end == NULL) {
        ssize_t got = readlink("/proc/self/exe", out, size - 1);
        while (got > 0 && out[got - 1] != '/') got--;
        if (got <= 0) return false;
        out[got - 1] = 0;
        return true;
    }
    if (n >= size) return false;
    memcpy(out, info.dli_fname, n);
    out[n] = 0;
    return true;
}

static void *open_file(const char *path, char *why, size_t why_size)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) (void)snprintf(why, why_size, "%s", dlerror());
    return handle;
}

static void *open_module(const char *module, char *why, size_t why_size)
{
    static const char *const places[] = {"", "/../lib/quern", "/quern", "/.."};
    char folder[PATH_SIZE], path[PATH_SIZE + 64];
    const char *said = module != NULL ? module : getenv("QUERN_LLVM");
    if (said != NULL && (said[0] == 0 || strcmp(said, "off") == 0)) {
        (void)snprintf(why, why_size, "switched off");
        return NULL;
    }
    if (said != NULL) return open_file(said, why, why_size);
    for (size_t i = 0; i < 4 && own_folder(folder, sizeof folder); i++) {
        (void)snprintf(path, sizeof path, "%s%s/" MODULE, folder, places[i]);
        if (access(path, F_OK) == 0) return open_file(path, why, why_size);
    }
    (void)snprintf(why, why_size, MODULE " does not lie beside this program");
    return NULL;
}

const qn_code_backend *qn_code__load(const char *module, char *why, size_t why_size)
{
    void *handle = open_module(module, why, why_size);
    if (handle == NULL) return NULL;
    union {
        void *symbol;
        qn_code_backend_get_fn *get;
    } found = {dlsym(handle, QN_CODE_BACKEND_SYMBOL)};
    const qn_code_backend *b = found.symbol == NULL ? NULL : found.get();
    if (b != NULL && strcmp(b->build, QN_CODE_BUILD) == 0) return b;
    (void)snprintf(why, why_size, "%s",
                   b == NULL ? "the module is none of ours"
                             : "the module is of another build");
    (void)dlclose(handle);
    return NULL;
}

bool qn_code_probe(const char *module, char *name, size_t size)
{
    const qn_code_backend *b = qn_code__load(module, name, size);
    if (b != NULL) (void)snprintf(name, size, "%s", b->name);
    return b != NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HOST_MAX = 256, BACKLOG = 512 };

/* "127.0.0.1:9200", "[::1]:9200", "localhost:0" */
static qn_status split_address(const char *address, char host[HOST_MAX], int64_t *port,
                               qn_error *err)
{
    qn_slice s = qn_slice_of(address), name;
    const char *colon = strrchr(address, ':');
    if (colon == NULL) goto wrong;
    name = (qn_slice){address, (size_t)(colon - address)};
    qn_slice digits = {colon + 1, s.n - name.n - 1};
    if (name.n >= 2 && name.p[0] == '[' && name.p[name.n - 1] == ']')
        name = (qn_slice){name.p + 1, name.n - 2};
    else if (memchr(name.p, ':', name.n) != NULL)
        goto wrong;
    if (name.n == 0 || name.n >= HOST_MAX || !qn_slice_to_i64(digits, port) ||
        *port < 0 || *port > 65535)
        goto wrong;
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    return QN_OK;
wrong:
    return qn_fail(err, QN_EUSAGE,
                   "'%.200s' is no address to listen on: write HOST:PORT, for example "
                   "127.0.0.1:9200 or [::1]:9200",
                   address);
}

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (a->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, a, sizeof in);
        return IN6_IS_ADDR_LOOPBACK(&in.sin6_addr);
    }
    return false;
}

static qn_status fail_busy(const char *address, int errnum, qn_error *err)
{
    if (errnum == EADDRINUSE)
        return qn_fail(err, QN_EPORT,
                       "cannot listen on %.200s: another program does. Choose another "
                       "port with --listen 127.0.0.1:PORT (port 0: any free one)",
                       address);
    return qn_fail(err, QN_EPORT,
                   "cannot listen on %.200s: %s. Choose another address with --listen "
                   "127.0.0.1:PORT (port 0: any free one)",
                   address, strerror(errnum));
}

static qn_status bind_to(const char *address, const struct addrinfo *info,
                         qn_http_listener *out, qn_error *err)
{
    int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);
    if (fd < 0) return fail_busy(address, errno, err);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0 ||
        bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int errnum = errno;
        (void)close(fd);
        return fail_busy(address, errnum, err);
    }
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    char host[HOST_MAX] = "", port[16] = "";
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0 ||
        getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port,
                    sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)close(fd);
        return fail_busy(address, EINVAL, err);
    }
    int64_t number = 0;
    (void)qn_slice_to_i64(qn_slice_of(port), &number);
    out->fd = fd;
    out->port = (uint16_t)number;
    bool v6 = info->ai_family == AF_INET6;
    (void)snprintf(out->url, sizeof out->url, "http://%s%s%s:%s", v6 ? "[" : "", host,
                   v6 ? "]" : "", port);
    return QN_OK;
}

qn_status qn_http_listen(const char *address, bool allow_remote, qn_http_listener *out,
                         qn_error *err)
{
    *out = (qn_http_listener){.fd = -1};
    char host[HOST_MAX], port[16];
    int64_t number = 0;
    QN_TRY(split_address(address, host, &number, err));
    (void)snprintf(port, sizeof port, "%d", (int)number);
    struct addrinfo *info = NULL;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int rc = getaddrinfo(host, port, &hints, &info);
    if (rc != 0)
        return qn_fail(err, QN_EPORT, "cannot listen on %.200s: %s", address,
                       gai_strerror(rc));
    qn_status st;
    if (!allow_remote && !is_loopback(info->ai_addr))
        st = qn_fail(err, QN_EUSAGE,
                     "%.200s can be reached from other machines, and nobody would be "
                     "asked for a password. Listen on 127.0.0.1 and put a proxy in "
                     "front, or add --insecure to do it all the same",
                     address);
    else
        st = bind_to(address, info, out, err);
    freeaddrinfo(info);
    return st;
}

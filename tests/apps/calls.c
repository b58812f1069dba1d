/* An HTTP/1.1 server that moves its bytes with one kind of socket call.
 *
 * calls WAY PORT: each way is a row of the table at the end. Every request is answered with its own path as body, so a
 * client can tell whose answer it got. One thread per connection. `echo` sends back whatever comes, `once` answers one
 * request and exits, `fork` answers in children, `sealed` in threads that may do nothing but read and write: any other call ends
 * them. Nothing here knows that it is observed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HEAD_MAX 131072

struct way {
    const char *name;
    ssize_t (*in)(int fd, char *to, size_t space);
    void (*out)(int fd, const char *head, size_t head_len, const char *body, size_t body_len);
};
static const struct way *way;

static void die(const char *what) {
    perror(what);
    exit(1);
}

/* A call that moved less than asked is called again, as every program must. */
#define ALL(call, bytes)                                                                                               \
    for (size_t done = 0; done < (bytes);) {                                                                           \
        ssize_t now = (call);                                                                                          \
        if (now < 0 && errno == EAGAIN) {                                                                              \
            struct pollfd ready = {fd, POLLOUT, 0};                                                                    \
            poll(&ready, 1, -1);                                                                                       \
            continue;                                                                                                  \
        }                                                                                                              \
        if (now <= 0) return;                                                                                          \
        done += (size_t)now;                                                                                           \
    }

/* Receiving. */
static ssize_t in_read(int fd, char *to, size_t space) { return read(fd, to, space); }
static ssize_t in_recv(int fd, char *to, size_t space) { return recv(fd, to, space, 0); }
static ssize_t in_recvfrom(int fd, char *to, size_t space) {
    struct sockaddr_in6 from;
    socklen_t size = sizeof from;
    return recvfrom(fd, to, space, 0, (struct sockaddr *)&from, &size);
}
static ssize_t in_byte(int fd, char *to, size_t space) { return space ? read(fd, to, 1) : 0; }
static ssize_t in_readv(int fd, char *to, size_t space) {
    size_t third = space / 3 < 10 ? space / 3 : 10;
    struct iovec parts[3] = {{to, third}, {to + third, third}, {to + 2 * third, space - 2 * third}};
    return readv(fd, parts, 3);
}
static ssize_t in_recvmsg(int fd, char *to, size_t space) {
    size_t third = space / 3 < 10 ? space / 3 : 10;
    struct iovec parts[3] = {{to, third}, {to + third, third}, {to + 2 * third, space - 2 * third}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    return recvmsg(fd, &message, 0);
}
static ssize_t in_recvmmsg(int fd, char *to, size_t space) {
    /* The first message takes 16 bytes, the second the rest of what is there. */
    size_t first = space < 16 ? space : 16;
    struct iovec parts[2] = {{to, first}, {to + first, space - first}};
    struct mmsghdr messages[2] = {{.msg_hdr = {.msg_iov = &parts[0], .msg_iovlen = 1}},
                                  {.msg_hdr = {.msg_iov = &parts[1], .msg_iovlen = 1}}};
    int count = recvmmsg(fd, messages, space > first ? 2 : 1, MSG_WAITFORONE, NULL);
    if (count <= 0) return count;
    return count == 2 ? (ssize_t)messages[0].msg_len + messages[1].msg_len : (ssize_t)messages[0].msg_len;
}
static ssize_t in_peek(int fd, char *to, size_t space) {
    ssize_t there = recv(fd, to, space, MSG_PEEK);
    if (there <= 0) return there;
    recv(fd, to, space, MSG_PEEK);
    return recv(fd, to, (size_t)there, 0);
}
static ssize_t in_nonblocking(int fd, char *to, size_t space) {
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    for (;;) {
        ssize_t now = read(fd, to, space);
        if (now >= 0 || errno != EAGAIN) return now;
        struct pollfd ready = {fd, POLLIN, 0};
        poll(&ready, 1, -1);
    }
}

/* Sending. */
static void out_write(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    ALL(write(fd, head + done, head_len - done), head_len)
    ALL(write(fd, body + done, body_len - done), body_len)
}
static void out_send(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    ALL(send(fd, head + done, head_len - done, MSG_MORE | MSG_NOSIGNAL), head_len)
    ALL(send(fd, body + done, body_len - done, MSG_NOSIGNAL), body_len)
}
static void out_sendto(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    ALL(sendto(fd, head + done, head_len - done, 0, NULL, 0), head_len)
    ALL(sendto(fd, body + done, body_len - done, 0, NULL, 0), body_len)
}
static void out_sevens(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    ALL(write(fd, head + done, head_len - done < 7 ? head_len - done : 7), head_len)
    ALL(write(fd, body + done, body_len - done < 7 ? body_len - done : 7), body_len)
}
static void out_writev(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    struct iovec parts[4] = {
        {(void *)head, 9}, {NULL, 0}, {(void *)(head + 9), head_len - 9}, {(void *)body, body_len}};
    if (writev(fd, parts, 4) < 0) return;
}
static void out_sendmsg(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    struct iovec parts[3] = {{(void *)head, 5}, {(void *)(head + 5), head_len - 5}, {(void *)body, body_len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
    if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) return;
}
static void out_sendmmsg(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    struct iovec parts[3] = {{(void *)head, 12}, {(void *)(head + 12), head_len - 12}, {(void *)body, body_len}};
    struct mmsghdr messages[3];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 3; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    if (sendmmsg(fd, messages, 3, MSG_NOSIGNAL) < 0) return;
}
static int file_of(const char *body, size_t body_len) {
    int file = memfd_create("body", 0);
    if (file < 0 || write(file, body, body_len) != (ssize_t)body_len) die("memfd");
    lseek(file, 0, SEEK_SET);
    return file;
}
static void out_sendfile(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    ALL(send(fd, head + done, head_len - done, MSG_MORE | MSG_NOSIGNAL), head_len)
    int file = file_of(body, body_len);
    ALL(sendfile(fd, file, NULL, body_len - done), body_len)
    close(file);
}
static void out_splice(int fd, const char *head, size_t head_len, const char *body, size_t body_len) {
    ALL(write(fd, head + done, head_len - done), head_len)
    int file = file_of(body, body_len), ends[2];
    if (pipe(ends) < 0) die("pipe");
    for (size_t moved = 0; moved < body_len;) {
        ssize_t filled = splice(file, NULL, ends[1], NULL, body_len - moved, 0);
        if (filled <= 0) break;
        ALL(splice(ends[0], NULL, fd, NULL, (size_t)filled - done, 0), (size_t)filled)
        moved += (size_t)filled;
    }
    close(ends[0]), close(ends[1]), close(file);
}

static const struct way ways[] = {
    {"read-write", in_read, out_write},
    {"recv-send", in_recv, out_send},
    {"recvfrom-sendto", in_recvfrom, out_sendto},
    {"readv-writev", in_readv, out_writev},
    {"recvmsg-sendmsg", in_recvmsg, out_sendmsg},
    {"recvmmsg-sendmmsg", in_recvmmsg, out_sendmmsg},
    {"read-sendfile", in_read, out_sendfile},
    {"read-splice", in_read, out_splice},
    {"peek-write", in_peek, out_write},
    {"bytewise", in_byte, out_sevens},
    {"nonblocking", in_nonblocking, out_write},
    {"once", in_read, out_write},
    {"fork", in_read, out_write},
    {"sealed", in_read, out_write},
    {"echo", in_read, NULL},
};

static void echo(int fd) {
    static _Thread_local char buffer[65536];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got <= 0) return;
        ALL(write(fd, buffer + done, (size_t)got - done), (size_t)got)
    }
}

/* Answers requests without a body until the client closes. */
static void serve(int fd) {
    char *buffer = malloc(HEAD_MAX), path[4096], head[256], body[8192];
    size_t have = 0;
    int sealed = !strcmp(way->name, "sealed");
    if (sealed && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)) die("prctl");
    for (;;) {
        char *end;
        while (!(end = memmem(buffer, have, "\r\n\r\n", 4))) {
            ssize_t got = have < HEAD_MAX ? way->in(fd, buffer + have, HEAD_MAX - have) : -1;
            if (got <= 0) goto over;
            have += (size_t)got;
        }
        if (sscanf(buffer, "%*15s %4095s", path) != 1) goto over;
        int body_len = snprintf(body, sizeof body, "%s via %s\n", path, way->name);
        int head_len = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", body_len);
        way->out(fd, head, (size_t)head_len, body, (size_t)body_len);
        size_t used = (size_t)(end + 4 - buffer);
        memmove(buffer, buffer + used, have -= used);
        if (!strcmp(way->name, "once")) break;
    }
over:
    if (sealed) syscall(SYS_exit, 0);
    free(buffer);
}

static void *connection(void *argument) {
    int fd = (int)(long)argument, one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    way->out ? serve(fd) : echo(fd);
    close(fd);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 3) return fprintf(stderr, "usage: calls WAY PORT\n"), 64;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i].name, arguments[1])) way = &ways[i];
    if (!way) return fprintf(stderr, "no way %s\n", arguments[1]), 64;

    int listener = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(arguments[2]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    if (listen(listener, 128) < 0) die("listen");
    if (!strcmp(way->name, "fork") && fork() > 0 && fork() > 0) {
        for (;;) pause();
    }
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        if (!strcmp(way->name, "once")) return connection((void *)(long)fd), 0;
        pthread_t thread;
        if (pthread_create(&thread, NULL, connection, (void *)(long)fd)) die("pthread_create");
        pthread_detach(thread);
    }
}

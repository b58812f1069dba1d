/* An HTTP/1.1 server that moves its bytes in ways that not every kind of hook can see.
 *
 * deep WAY PORT serves, one thread per connection, each request answered with its own path. deep ask PORT PATH asks over kTLS and
 * prints the answer. Keys are fixed, so no handshake is needed. Exit code 77: this machine cannot do that.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPACE 4096
#define CANNOT 77
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#define SOL_OF_TLS 282

struct way {
    const char *name;
    ssize_t (*in)(int fd, char *to, size_t space);
    ssize_t (*out)(int fd, const char *from, size_t length);
};
static const struct way *way;

static void die(int code, const char *what) {
    perror(what);
    exit(code);
}

/* io_uring, without a library: one request at a time, per thread. */
struct ring {
    int fd;
    char *rings;
    struct io_uring_params params;
    struct io_uring_sqe *requests;
};
static _Thread_local struct ring ring;

static int ring_begin(void) {
    ring.fd = (int)syscall(SYS_io_uring_setup, 4, &ring.params);
    if (ring.fd < 0) return -1;
    size_t bytes = ring.params.cq_off.cqes + ring.params.cq_entries * sizeof(struct io_uring_cqe);
    size_t array = ring.params.sq_off.array + ring.params.sq_entries * sizeof(unsigned);
    int protection = PROT_READ | PROT_WRITE, kind = MAP_SHARED | MAP_POPULATE;
    ring.rings = mmap(NULL, bytes > array ? bytes : array, protection, kind, ring.fd, IORING_OFF_SQ_RING);
    ring.requests = mmap(NULL, ring.params.sq_entries * sizeof(struct io_uring_sqe), protection, kind, ring.fd, IORING_OFF_SQES);
    return ring.rings == MAP_FAILED || ring.requests == MAP_FAILED ? -1 : 0;
}
static unsigned *ring_at(unsigned offset) { return (unsigned *)(ring.rings + offset); }
static ssize_t ring_do(int operation, int fd, void *buffer, size_t length) {
    if (!ring.rings && ring_begin() < 0) return -1;
    unsigned tail = *ring_at(ring.params.sq_off.tail), at = tail & *ring_at(ring.params.sq_off.ring_mask);
    ring.requests[at] = (struct io_uring_sqe){
        .opcode = (unsigned char)operation, .fd = fd, .addr = (unsigned long)buffer, .len = (unsigned)length};
    ring_at(ring.params.sq_off.array)[at] = at;
    __atomic_store_n(ring_at(ring.params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
    unsigned head = *ring_at(ring.params.cq_off.head), submit = 1;
    while (__atomic_load_n(ring_at(ring.params.cq_off.tail), __ATOMIC_ACQUIRE) == head) {
        if (syscall(SYS_io_uring_enter, ring.fd, submit, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR) return -1;
        submit = 0;
    }
    struct io_uring_cqe *done = (struct io_uring_cqe *)(ring.rings + ring.params.cq_off.cqes);
    ssize_t result = done[head & *ring_at(ring.params.cq_off.ring_mask)].res;
    __atomic_store_n(ring_at(ring.params.cq_off.head), head + 1, __ATOMIC_RELEASE);
    return result;
}
static ssize_t in_ring(int fd, char *to, size_t space) { return ring_do(IORING_OP_RECV, fd, to, space); }
static ssize_t out_ring(int fd, const char *from, size_t length) { return ring_do(IORING_OP_SEND, fd, (void *)from, length); }

/* Ordinary calls. */
static ssize_t in_read(int fd, char *to, size_t space) { return read(fd, to, space); }
static ssize_t out_write(int fd, const char *from, size_t length) { return write(fd, from, length); }

/* The answer's head, too, comes from a file. */
static ssize_t out_file(int fd, const char *from, size_t length) {
    int file = memfd_create("answer", 0);
    if (file < 0 || write(file, from, length) != (ssize_t)length) return -1;
    off_t start = 0;
    ssize_t sent = sendfile(fd, file, &start, length);
    close(file);
    return sent;
}

/* The request goes to a pipe without having been in memory. */
static ssize_t in_pipe(int fd, char *to, size_t space) {
    int ends[2];
    if (pipe(ends) < 0) return -1;
    ssize_t moved = splice(fd, NULL, ends[1], NULL, space, 0);
    if (moved > 0) moved = read(ends[0], to, (size_t)moved);
    close(ends[0]), close(ends[1]);
    return moved;
}

/* System calls of 32-bit programs: their numbers, their registers, and memory below 4 GiB. */
static _Thread_local char *low;
static ssize_t compat(long number, int fd, size_t length) {
#ifdef __x86_64__
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"((long)fd), "c"(low), "d"(length)
                     : "memory", "r8", "r9", "r10", "r11", "cc");
    return (int)result;
#else
    (void)number, (void)fd, (void)length;
    return -1;
#endif
}
static void low_begin(void) {
#ifdef MAP_32BIT
    if (!low) low = mmap(NULL, SPACE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
#endif
}
static ssize_t in_compat(int fd, char *to, size_t space) {
    low_begin();
    ssize_t got = compat(3, fd, space < SPACE ? space : SPACE);
    if (got > 0) memcpy(to, low, (size_t)got);
    return got;
}
static ssize_t out_compat(int fd, const char *from, size_t length) {
    low_begin();
    memcpy(low, from, length);
    return compat(4, fd, length);
}

static const struct way ways[] = {
    {"io_uring", in_ring, out_ring}, {"sendfile", in_read, out_file}, {"splice", in_pipe, out_write},
    {"ktls", in_read, out_write},    {"compat", in_compat, out_compat},
};

/* The kernel encrypts what is written and decrypts what is read. */
static int encrypt(int fd) {
    struct tls12_crypto_info_aes_gcm_128 keys = {.info = {TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128}};
    memset(keys.key, 'k', sizeof keys.key);
    if (setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof "tls") < 0) return -1;
    if (setsockopt(fd, SOL_OF_TLS, TLS_TX, &keys, sizeof keys) < 0) return -1;
    return setsockopt(fd, SOL_OF_TLS, TLS_RX, &keys, sizeof keys);
}

static sigjmp_buf nowhere;
static void no_such_call(int signal) { siglongjmp(nowhere, signal); }

/* Can this machine do it at all? */
static void check(void) {
    if (!strcmp(way->name, "io_uring") && ring_begin() < 0) die(CANNOT, "io_uring");
    if (!strcmp(way->name, "compat")) {
        low_begin();
        signal(SIGSEGV, no_such_call);
        if (sigsetjmp(nowhere, 1) || !low || compat(4, -1, 1) != -EBADF) die(CANNOT, "int 0x80");
        signal(SIGSEGV, SIG_DFL);
    }
    if (!strcmp(way->name, "ktls")) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        /* Not connected: the name is looked up all the same. */
        if (setsockopt(fd, SOL_TCP, TCP_ULP, "tls", sizeof "tls") < 0 && errno == ENOENT) die(CANNOT, "kTLS");
        close(fd);
    }
}

static void *connection(void *argument) {
    int fd = (int)(long)argument;
    char buffer[SPACE], path[SPACE], answer[2 * SPACE];
    size_t have = 0;
    if (!strcmp(way->name, "ktls") && encrypt(fd) < 0) perror("encrypt");
    for (;;) {
        char *end;
        while (!(end = memmem(buffer, have, "\r\n\r\n", 4))) {
            ssize_t got = have < SPACE ? way->in(fd, buffer + have, SPACE - have) : -1;
            if (got <= 0) goto over;
            have += (size_t)got;
        }
        if (sscanf(buffer, "%*15s %4095s", path) != 1) break;
        int length = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(path), path);
        if (way->out(fd, answer, (size_t)length) != length) break;
        size_t used = (size_t)(end + 4 - buffer);
        memmove(buffer, buffer + used, have -= used);
    }
over:
    close(fd);
    return NULL;
}

/* A client whose bytes are encrypted by the kernel. */
static int ask(int port, const char *path) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) die(1, "connect");
    if (encrypt(fd) < 0) die(1, "encrypt");
    char text[SPACE];
    int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: deep\r\n\r\n", path);
    if (write(fd, text, (size_t)length) != length) die(1, "write");
    ssize_t got = read(fd, text, sizeof text);
    if (got <= 0) die(1, "read");
    printf("%.*s\n", (int)got, text);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 4 && !strcmp(arguments[1], "ask")) return ask(atoi(arguments[2]), arguments[3]);
    if (count != 3) return fprintf(stderr, "usage: deep WAY PORT | deep ask PORT PATH\n"), 64;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i].name, arguments[1])) way = &ways[i];
    if (!way) return fprintf(stderr, "no way %s\n", arguments[1]), 64;
    signal(SIGPIPE, SIG_IGN);
    check();

    int listener = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(arguments[2]))};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die(1, "bind");
    if (listen(listener, 128) < 0) die(1, "listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        pthread_t thread;
        if (pthread_create(&thread, NULL, connection, (void *)(long)fd)) die(1, "pthread_create");
        pthread_detach(thread);
    }
}

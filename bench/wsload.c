// wsload: a WebSocket load generator in one thread over epoll.
//
//     cc -O2 -o wsload wsload.c
//
// It opens --n connections, sends --hello on each, waits until each has seen --ready, and then lets the first
// --senders of them send --msg. It prints one line of JSON on standard output; complaints go to standard error.
//
// In --msg:  %T the time in nanoseconds    %S the sender's number    %I an id that no other run uses
//            %D the connection's target    %P the number of the connection's partner (0 and 1, 2 and 3, ...)
//
// A received frame with "@<%T>@" is a delivery and gives a latency; with "@<%T>@#<%S>#" it is also its sender's
// echo. A message is done when its echo has come or, with --ack, when a frame with that text and its id has come.
// It measures from the moment a message is handed to the kernel to the moment its bytes are read from it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define STAMP_DIGITS 19           // nanoseconds of the monotonic clock, padded with zeros
#define RING 8192                 // unanswered messages of one sender whose time is remembered
#define PORTS_PER_ADDRESS 25000   // more connections than this need a second source address
#define STALL_SECONDS 10          // without any progress a phase is given up
#define LINGER (SECOND / 2)       // after the last expected delivery, in case one comes twice
#define MAX_EVENTS 1024
#define READ_BYTES (1 << 20)      // of one read, and so the largest frame

// ---------------------------------------------------------------------------------------------------- options

static struct {
    const char *host, *path, *paths, *hello, *ready, *msg, *marker, *ack, *pong, *subproto, *origin;
    int ports[16], ports_count;
    int n, senders, concur, window, fanout;
    long count;
    double duration, hold, settle, rate;
} opt = {
    .host = "127.0.0.1", .path = "/", .msg = "{\"message\":\"@%T@#%S#\"}",
    .ports = {8000}, .ports_count = 1,
    .n = 1, .senders = 1, .concur = 64, .window = 1, .count = 1000, .settle = 5,
};

static const char usage[] =
    "--host H --port P[,P...]  where; connections take the ports in turn\n"
    "--path P | --paths FILE   request path, or lines of path[<TAB>hello[<TAB>target]]\n"
    "--subproto S --origin S   handshake headers\n"
    "--n N --concur N          connections, and how many of them may be on their way at once\n"
    "--hello S --ready S       sent on each open connection; text that makes it ready\n"
    "--settle S                at most so long to wait for silence once all are ready\n"
    "--hold S                  then keep them idle so long ('holding' is said on standard error)\n"
    "--senders N --msg S       who sends, and what\n"
    "--count N --duration S    messages of each sender; no more after so long\n"
    "--window N | --rate R     unanswered messages of each sender (closed loop); messages a second of all (open)\n"
    "--marker S                only frames with this text are deliveries\n"
    "--ack S                   a frame with this text and the id of a message says that it is done\n"
    "--fanout N                deliveries that each message must have\n"
    "--pong S                  answer to heartbeat frames\n";

// ------------------------------------------------------------------------------------------------------ state

typedef enum { CONNECTING, UPGRADING, OPEN, CLOSED } State;

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} Buffer;

typedef struct {
    int fd, number;
    State state;
    bool ready, waits_for_write;
    const char *path, *hello, *target;
    Buffer in, out;       // an incomplete frame; what the kernel did not take yet
    size_t written;       // of `out`
    uint64_t started_at;  // of the handshake
    long sent, done;      // messages of this sender
    uint64_t next_at;     // open loop: when the next one is due
    uint64_t *sent_at;    // ring of the last RING messages' times, for the latency of acks
} Connection;

// Latencies in microseconds: exact below 256, then 256 buckets for each power of two (an error below 0.4 %).
typedef struct {
    uint32_t buckets[26 * 256];
    uint64_t total;
    uint32_t max;
} Histogram;

static Connection *connections;
static int epoll_fd;
static char run_token[16];        // begins every %I: a server that stores ids must not take this run for the last
static uint64_t read_at;          // when the bytes being looked at came out of the kernel
static uint64_t load_started_at;  // older stamps are not of this load
static uint64_t last_delivery_at, last_ack_at;
static int opened, ready, failed;
static long errors, closed, frames, bytes, sent, deliveries, acks, refused;
static Histogram connect_us, delivery_us, ack_us;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static double seconds(uint64_t from, uint64_t to) { return to > from ? (to - from) / 1e9 : 0; }

static void record(Histogram *h, uint64_t from, uint64_t to) {
    uint64_t us = to > from ? (to - from) / 1000 : 0;
    uint32_t value = us > UINT32_MAX ? UINT32_MAX : us;
    int shift = value < 256 ? 0 : 31 - __builtin_clz(value) - 8;
    h->buckets[value < 256 ? value : (shift + 1) * 256 + (value >> shift) - 256]++;
    h->total++;
    if (value > h->max)
        h->max = value;
}

static uint32_t percentile(const Histogram *h, double share) {
    uint64_t wanted = h->total * share, seen = 0;
    for (int i = 0; i < 26 * 256; i++) {
        seen += h->buckets[i];
        if (seen > wanted)
            return i < 256 ? (uint32_t)i : (uint32_t)(i % 256 + 256) << (i / 256 - 1);
    }
    return h->max;
}

static bool contains(const char *text, size_t length, const char *wanted) {
    return memmem(text, length, wanted, strlen(wanted)) != NULL;
}

// ---------------------------------------------------------------------------------------------------- writing

static void append(Buffer *b, const void *data, size_t length) {
    if (b->length + length > b->capacity) {
        b->capacity = (b->length + length) * 2;
        b->bytes = realloc(b->bytes, b->capacity);
        if (!b->bytes)
            abort();
    }
    memcpy(b->bytes + b->length, data, length);
    b->length += length;
}

static void watch(Connection *c, int operation, bool for_write) {
    struct epoll_event event = {.events = EPOLLIN | (for_write ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, operation, c->fd, &event);
    c->waits_for_write = for_write;
}

static void drop(Connection *c) {
    if (c->state == CLOSED)
        return;
    c->state = CLOSED;
    close(c->fd);
    if (!c->ready)
        failed++;
}

static void flush(Connection *c) {
    while (c->written < c->out.length) {
        ssize_t taken = send(c->fd, c->out.bytes + c->written, c->out.length - c->written, MSG_NOSIGNAL);
        if (taken < 0 && errno == EAGAIN) {
            if (!c->waits_for_write)
                watch(c, EPOLL_CTL_MOD, true);
            return;
        }
        if (taken < 0) {
            errors++;
            drop(c);
            return;
        }
        c->written += taken;
    }
    c->out.length = c->written = 0;
    if (c->waits_for_write)
        watch(c, EPOLL_CTL_MOD, false);
}

static void put_frame(Connection *c, int opcode, const char *payload, size_t length) {
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    uint8_t head[14] = {0x80 | opcode};
    int size = 2;
    if (length < 126) {
        head[1] = 0x80 | length;
    } else if (length < 65536) {
        head[1] = 0x80 | 126;
        head[size++] = length >> 8;
        head[size++] = length;
    } else {
        head[1] = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            head[size++] = (uint64_t)length >> shift;
    }
    append(&c->out, head, size);
    append(&c->out, mask, 4);
    size_t start = c->out.length;
    append(&c->out, payload, length);
    for (size_t i = 0; i < length; i++)
        c->out.bytes[start + i] ^= mask[i & 3];
}

static void put_message(Connection *c) {
    char text[65536];
    size_t length = 0, room = sizeof text - 256;
    uint64_t time = now();
    for (const char *p = opt.msg; *p && length < room; p++) {
        char *to = text + length;
        switch (*p == '%' ? p[1] : 0) {
        case 'T': length += sprintf(to, "%0*llu", STAMP_DIGITS, (unsigned long long)time); break;
        case 'S': length += sprintf(to, "%d", c->number); break;
        case 'I': length += sprintf(to, "%s-%d-%ld", run_token, c->number, c->sent); break;
        case 'D': length += snprintf(to, 128, "%s", c->target ? c->target : "null"); break;
        case 'P': length += sprintf(to, "%d", c->number ^ 1); break;
        default: text[length++] = *p; continue;
        }
        p++;
    }
    put_frame(c, 1, text, length);
    if (c->sent_at)
        c->sent_at[c->sent % RING] = time;
    c->sent++;
    sent++;
}

// ---------------------------------------------------------------------------------------------------- reading

static void on_close(Connection *c, const uint8_t *payload, size_t length) {
    closed++;
    if (closed <= 3)
        fprintf(stderr, "closed by the server: %d %.*s\n", length > 1 ? payload[0] << 8 | payload[1] : 0,
                (int)(length > 2 ? length - 2 : 0), payload + 2);
    drop(c);
}

static void on_delivery(Connection *c, const char *text, size_t length) {
    const char *end = text + length;
    while ((text = memchr(text, '@', end - text))) {
        const char *after = text + 1 + STAMP_DIGITS;
        if (after >= end || *after != '@') {
            text++;
            continue;
        }
        uint64_t stamp = strtoull(text + 1, NULL, 10);
        text = after + 1;
        if (stamp < load_started_at)
            continue;
        deliveries++;
        last_delivery_at = read_at;
        record(&delivery_us, stamp, read_at);
        if (!opt.ack && end - text > 2 && *text == '#' && atoi(text + 1) == c->number)
            c->done++;
    }
}

// The number of this sender's message whose id is in the frame, or -1.
static long answered(const Connection *c, const char *text, size_t length) {
    char prefix[48];
    int size = snprintf(prefix, sizeof prefix, "\"%s-%d-", run_token, c->number);
    const char *found = memmem(text, length, prefix, size);
    return found ? strtol(found + size, NULL, 10) : -1;
}

static void on_ack(Connection *c, const char *text, size_t length) {
    long number = answered(c, text, length);
    if (number < 0 || number >= c->sent)
        return;
    acks++;
    c->done++;
    last_ack_at = read_at;
    if (c->sent_at && c->sent - number <= RING)
        record(&ack_us, c->sent_at[number % RING], read_at);
}

static void on_refusal(Connection *c, const char *text, size_t length) {
    if (refused++ < 3)
        fprintf(stderr, "refused: %.*s\n", (int)(length > 300 ? 300 : length), text);
    if (answered(c, text, length) >= 0)
        c->done++;
}

static void on_text(Connection *c, const char *text, size_t length) {
    frames++;
    bytes += length;
    if (!c->ready && opt.ready && contains(text, length, opt.ready)) {
        c->ready = true;
        ready++;
        record(&connect_us, c->started_at, read_at);
    }
    if (!opt.marker || contains(text, length, opt.marker))
        on_delivery(c, text, length);
    else if (opt.ack && contains(text, length, opt.ack))
        on_ack(c, text, length);
    else if (contains(text, length, "\"error\""))
        on_refusal(c, text, length);
    else if (opt.pong && contains(text, length, "\"heartbeat\"")) {
        put_frame(c, 1, opt.pong, strlen(opt.pong));
        flush(c);
    }
}

static void on_frame(Connection *c, int opcode, const uint8_t *payload, size_t length) {
    if (opcode == 8) {
        on_close(c, payload, length);
    } else if (opcode == 9) {
        put_frame(c, 10, (const char *)payload, length);
        flush(c);
    } else if (opcode <= 2) {
        on_text(c, (const char *)payload, length);
    }
}

// Takes the answer to the handshake. Returns its length, 0 when it is not complete or not an upgrade.
static size_t take_handshake(Connection *c, const uint8_t *data, size_t length) {
    const uint8_t *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (memcmp(data, "HTTP/1.1 101", 12)) {
        if (errors++ < 3)
            fprintf(stderr, "no upgrade: %.*s\n", (int)(length > 300 ? 300 : length), data);
        drop(c);
        return 0;
    }
    c->state = OPEN;
    opened++;
    if (!opt.ready) {
        c->ready = true;
        ready++;
        record(&connect_us, c->started_at, read_at);
    }
    const char *hello = c->hello && *c->hello ? c->hello : opt.hello;
    if (hello) {
        put_frame(c, 1, hello, strlen(hello));
        flush(c);
    }
    return end + 4 - data;
}

// Takes one frame. Returns its length, 0 when it is not complete.
static size_t take_frame(Connection *c, const uint8_t *data, size_t length) {
    if (length < 2)
        return 0;
    size_t head = 2, size = data[1] & 127;
    int extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (length < head + extra)
        return 0;
    if (extra) {
        size = 0;
        while (extra--)
            size = size << 8 | data[head++];
    }
    if (length - head < size)
        return 0;
    on_frame(c, data[0] & 15, data + head, size);
    return head + size;
}

// One read for one event: epoll is level-triggered, and no socket may keep the others waiting.
static void receive(Connection *c) {
    static uint8_t data[READ_BYTES];
    size_t length = c->in.length, used = 0, step = 1;
    if (length)
        memcpy(data, c->in.bytes, length);
    ssize_t got = recv(c->fd, data + length, sizeof data - length, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        closed++;
        drop(c);
        return;
    }
    read_at = now();
    length += got;
    if (c->state == UPGRADING)
        used = take_handshake(c, data, length);
    while (c->state == OPEN && step) {
        step = take_frame(c, data + used, length - used);
        used += step;
    }
    c->in.length = 0;
    if (c->state != CLOSED && used < length)
        append(&c->in, data + used, length - used);
}

// -------------------------------------------------------------------------------------------------- connecting

// Reads the next line of --paths into the connection, from the beginning again when the file is short.
static void read_path(Connection *c, FILE *file) {
    char *line = NULL;
    size_t capacity = 0;
    if (getline(&line, &capacity, file) < 0) {
        rewind(file);
        if (getline(&line, &capacity, file) < 0) {
            fprintf(stderr, "%s is empty\n", opt.paths);
            exit(2);
        }
    }
    line[strcspn(line, "\r\n")] = 0;
    c->path = strsep(&line, "\t");
    c->hello = strsep(&line, "\t");
    c->target = strsep(&line, "\t");
}

static void make_connections(void) {
    FILE *file = opt.paths ? fopen(opt.paths, "r") : NULL;
    if (opt.paths && !file) {
        perror(opt.paths);
        exit(2);
    }
    connections = calloc(opt.n, sizeof *connections);
    for (int i = 0; i < opt.n; i++) {
        Connection *c = &connections[i];
        c->number = i;
        c->path = opt.path;
        if (file)
            read_path(c, file);
        if (opt.ack && i < opt.senders)
            c->sent_at = calloc(RING, sizeof *c->sent_at);
    }
    if (file)
        fclose(file);
}

static void put_request(Connection *c, int port) {
    char text[8192];
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
                          c->path, opt.host, port);
    append(&c->out, text, length);
    if (opt.subproto)
        append(&c->out, text, snprintf(text, sizeof text, "Sec-WebSocket-Protocol: %s\r\n", opt.subproto));
    if (opt.origin)
        append(&c->out, text, snprintf(text, sizeof text, "Origin: %s\r\n", opt.origin));
    append(&c->out, "\r\n", 2);
}

static void start_connection(Connection *c) {
    int port = opt.ports[c->number % opt.ports_count], one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) {
        perror("socket");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (opt.n > PORTS_PER_ADDRESS) {
        struct sockaddr_in source = {.sin_family = AF_INET};
        source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + c->number / PORTS_PER_ADDRESS);
        bind(c->fd, (struct sockaddr *)&source, sizeof source);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, opt.host, &address.sin_addr);
    c->started_at = now();
    put_request(c, port);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        errors++;
        drop(c);
        return;
    }
    watch(c, EPOLL_CTL_ADD, true);
}

// ------------------------------------------------------------------------------------------------------ phases

static int handle_events(int timeout_ms) {
    struct epoll_event events[MAX_EVENTS];
    int count = epoll_wait(epoll_fd, events, MAX_EVENTS, timeout_ms);
    for (int i = 0; i < count; i++) {
        Connection *c = events[i].data.ptr;
        if (c->state == CONNECTING)
            c->state = UPGRADING;
        if (c->state != CLOSED && events[i].events & EPOLLOUT)
            flush(c);
        if (c->state != CLOSED && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(c);
    }
    return count;
}

static double connect_all(void) {
    uint64_t begin = now(), progress = begin;
    int started = 0, settled = 0;
    while (settled < opt.n && seconds(progress, now()) < STALL_SECONDS * 3) {
        while (started < opt.n && started - (ready + failed) < opt.concur)
            start_connection(&connections[started++]);
        handle_events(1000);
        if (settled != ready + failed)
            progress = now();
        settled = ready + failed;
    }
    if (settled < opt.n)
        fprintf(stderr, "gave up connecting: %d open, %d ready of %d\n", opened, ready, opt.n);
    return seconds(begin, progress);
}

static void settle(void) {
    uint64_t begin = now();
    while (seconds(begin, now()) < opt.settle && handle_events(300) > 0)
        ;
}

static void hold(void) {
    uint64_t begin = now();
    fprintf(stderr, "holding %d\n", ready);
    while (seconds(begin, now()) < opt.hold)
        handle_events(200);
}

// Sends what the sender may send now. Returns whether it will want to send more later.
static bool feed(Connection *c, uint64_t time, uint64_t gap) {
    bool over = opt.duration > 0 && seconds(load_started_at, time) >= opt.duration;
    long before = c->sent;
    if (c->state != OPEN || over || c->sent >= opt.count)
        return false;
    if (gap)
        for (; c->sent < opt.count && time >= c->next_at; c->next_at += gap)
            put_message(c);
    else
        while (c->sent < opt.count && c->sent - c->done < opt.window)
            put_message(c);
    if (c->sent > before)
        flush(c);
    return c->sent < opt.count;
}

static bool is_complete(uint64_t time) {
    bool acked = !opt.ack || acks + refused >= sent;
    uint64_t last = last_ack_at > last_delivery_at ? last_ack_at : last_delivery_at;
    bool delivered = deliveries >= sent * opt.fanout;
    return acked && delivered && time - last > (opt.fanout ? LINGER : SECOND);
}

// Returns false when messages or deliveries stayed away.
static bool run_load(void) {
    frames = bytes = 0;
    load_started_at = last_delivery_at = last_ack_at = now();
    uint64_t gap = opt.rate > 0 ? SECOND * opt.senders / opt.rate : 0, progress = load_started_at;
    long seen = 0;
    for (int i = 0; i < opt.senders; i++)
        connections[i].next_at = load_started_at + gap * i / opt.senders;
    for (;;) {
        bool sending = false;
        uint64_t time = now();
        for (int i = 0; i < opt.senders; i++)
            sending |= feed(&connections[i], time, gap);
        if (!sending && is_complete(time))
            return true;
        if (seconds(progress, time) > STALL_SECONDS)
            return false;
        handle_events(gap ? 1 : 100);
        if (seen != deliveries + acks + refused)
            progress = now();
        seen = deliveries + acks + refused;
    }
}

// ------------------------------------------------------------------------------------------------------ result

static void print_latency(const char *name, const Histogram *h) {
    printf(", \"%s\": {\"p50\": %u, \"p90\": %u, \"p99\": %u, \"p999\": %u, \"max\": %u}", name, percentile(h, .5),
           percentile(h, .9), percentile(h, .99), percentile(h, .999), h->max);
}

static double rate(long count, uint64_t last) {
    double elapsed = seconds(load_started_at, last);
    return elapsed > 0 ? count / elapsed : 0;
}

static double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void print_result(double connecting, double load_cpu, bool stalled) {
    uint64_t last = last_ack_at > last_delivery_at ? last_ack_at : last_delivery_at;
    printf("{\"connections\": %d, \"open\": %d, \"ready\": %d, \"failed\": %d, \"errors\": %ld, \"closed\": %ld",
           opt.n, opened, ready, failed, errors, closed);
    printf(", \"connect_seconds\": %.3f, \"connects_per_second\": %.1f", connecting,
           connecting > 0 ? ready / connecting : 0);
    print_latency("connect_us", &connect_us);
    printf(", \"sent\": %ld, \"deliveries\": %ld, \"expected\": %ld, \"acks\": %ld, \"refused\": %ld", sent, deliveries,
           sent * opt.fanout, acks, refused);
    printf(", \"seconds\": %.3f, \"deliveries_per_second\": %.1f, \"acks_per_second\": %.1f",
           seconds(load_started_at, last), rate(deliveries, last_delivery_at), rate(acks, last_ack_at));
    print_latency("delivery_us", &delivery_us);
    print_latency("ack_us", &ack_us);
    printf(", \"frames\": %ld, \"bytes\": %ld, \"cpu_seconds\": %.3f, \"stalled\": %s}\n", frames, bytes, load_cpu,
           stalled ? "true" : "false");
}

static void read_ports(char *list) {
    opt.ports_count = 0;
    for (char *port; (port = strsep(&list, ",")) && opt.ports_count < 16;)
        opt.ports[opt.ports_count++] = atoi(port);
}

static void read_options(int argc, char **argv) {
    static const struct option known[] = {
        {"host", 1, 0, 'h'},   {"port", 1, 0, 'p'},    {"path", 1, 0, 'u'},     {"paths", 1, 0, 'f'},
        {"hello", 1, 0, 'H'},  {"ready", 1, 0, 'r'},   {"msg", 1, 0, 'm'},      {"marker", 1, 0, 'M'},
        {"ack", 1, 0, 'a'},    {"pong", 1, 0, 'g'},    {"subproto", 1, 0, 'P'}, {"origin", 1, 0, 'O'},
        {"n", 1, 0, 'n'},      {"senders", 1, 0, 's'}, {"concur", 1, 0, 'k'},   {"window", 1, 0, 'w'},
        {"count", 1, 0, 'c'},  {"fanout", 1, 0, 'F'},  {"duration", 1, 0, 'd'}, {"hold", 1, 0, 'o'},
        {"settle", 1, 0, 'S'}, {"rate", 1, 0, 'R'},    {0}};
    for (int key; (key = getopt_long(argc, argv, "", known, NULL)) > 0;)
        switch (key) {
        case 'h': opt.host = optarg; break;
        case 'p': read_ports(optarg); break;
        case 'u': opt.path = optarg; break;
        case 'f': opt.paths = optarg; break;
        case 'H': opt.hello = optarg; break;
        case 'r': opt.ready = optarg; break;
        case 'm': opt.msg = optarg; break;
        case 'M': opt.marker = optarg; break;
        case 'a': opt.ack = optarg; break;
        case 'g': opt.pong = optarg; break;
        case 'P': opt.subproto = optarg; break;
        case 'O': opt.origin = optarg; break;
        case 'n': opt.n = atoi(optarg); break;
        case 's': opt.senders = atoi(optarg); break;
        case 'k': opt.concur = atoi(optarg); break;
        case 'w': opt.window = atoi(optarg); break;
        case 'c': opt.count = atol(optarg); break;
        case 'F': opt.fanout = atoi(optarg); break;
        case 'd': opt.duration = atof(optarg); break;
        case 'o': opt.hold = atof(optarg); break;
        case 'S': opt.settle = atof(optarg); break;
        case 'R': opt.rate = atof(optarg); break;
        default: fputs(usage, stderr); exit(2);
        }
    if (opt.senders > opt.n)
        opt.senders = opt.n;
}

// To a million as root, else to what is allowed.
static void raise_file_limit(void) {
    struct rlimit files = {1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_NOFILE, &files) == 0)
        return;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    raise_file_limit();
    snprintf(run_token, sizeof run_token, "%08x", (unsigned)(now() ^ (uint64_t)getpid() << 20));
    epoll_fd = epoll_create1(0);
    make_connections();
    double connecting = connect_all();
    settle();
    if (opt.hold > 0)
        hold();
    double cpu = cpu_seconds();
    bool complete = opt.count == 0 || run_load();
    print_result(connecting, cpu_seconds() - cpu, !complete);
    return ready == opt.n ? 0 : 1;
}

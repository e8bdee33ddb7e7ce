// SPDX-License-Identifier: (MIT OR Apache-2.0) OR GPL-2.0
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
enum { BPF_MAP_TYPE_ARRAY = 2, BPF_F_MMAPABLE = 1 << 10 };
struct bpf_raw_tracepoint_args { __u64 args[0]; };
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef __u64 sector_t;
typedef __u32 blk_opf_t;
#define CORE __attribute__((preserve_access_index))
struct gendisk { int major; int first_minor; } CORE;
struct request_queue { struct gendisk *disk; } CORE;
struct bvec_iter { sector_t bi_sector; unsigned int bi_size; } CORE;
struct bio { struct bio *bi_next; struct bvec_iter bi_iter; } CORE;
struct request { struct request_queue *q; blk_opf_t cmd_flags; unsigned int __data_len; sector_t __sector; struct bio *bio; } CORE;

const volatile __u32 major = 0, minor = 0;
const volatile __u32 chunk_shift = 5;    // log2 of sectors in a chunk
const volatile __u64 chunks = 0;

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(map_flags, BPF_F_MMAPABLE); __type(key, __u32); __type(value, __u64); __uint(max_entries, 1); } written SEC(".maps");
struct state { __u64 unseen; __u64 events; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(map_flags, BPF_F_MMAPABLE); __type(key, __u32); __type(value, struct state); __uint(max_entries, 1); } state SEC(".maps");

struct range { __u64 first, last; };
static long mark_word(__u64 i, struct range *r)
{
    __u32 word = (r->first >> 6) + i;
    __u64 mask = ~0ULL;
    if (word == r->first >> 6) mask &= ~0ULL << (r->first & 63);
    if (word == r->last >> 6) mask &= ~0ULL >> (63 - (r->last & 63));
    __u64 *bits = bpf_map_lookup_elem(&written, &word);
    if (!bits) return 1;
    if ((*bits & mask) != mask) __sync_fetch_and_or(bits, mask);
    return 0;
}
static __always_inline void mark(sector_t sector, __u64 bytes)
{
    if (!bytes || !chunks) return;
    struct range r = { sector >> chunk_shift, (sector + ((bytes + 511) >> 9) - 1) >> chunk_shift };
    if (r.first >= chunks) return;
    if (r.last >= chunks) r.last = chunks - 1;
    bpf_loop((r.last >> 6) - (r.first >> 6) + 1, mark_word, &r, 0);
}
struct walk { struct bio *bio; };
static long mark_bio(__u64 i, struct walk *w)
{
    struct bio *bio = w->bio;
    if (!bio) return 1;
    mark(BPF_CORE_READ(bio, bi_iter.bi_sector), BPF_CORE_READ(bio, bi_iter.bi_size));
    w->bio = BPF_CORE_READ(bio, bi_next);
    return 0;
}
static __always_inline int seen(struct request *rq, __u64 bytes)
{
    struct gendisk *disk = BPF_CORE_READ(rq, q, disk);
    if (!disk) return 0;
    if (BPF_CORE_READ(disk, major) != major || BPF_CORE_READ(disk, first_minor) != minor) return 0;
    __u32 op = BPF_CORE_READ(rq, cmd_flags) & 0xff;
    if (!(op & 1)) return 0;
    if (op == 35) { __u32 k = 0; struct state *s = bpf_map_lookup_elem(&state, &k); if (s) __sync_fetch_and_add(&s->unseen, 1); return 0; }
    if (op == 3 || op == 5) {
        struct walk w = { BPF_CORE_READ(rq, bio) };
        bpf_loop(1024, mark_bio, &w, 0);
        return 0;
    }
    mark(BPF_CORE_READ(rq, __sector), bytes);
    return 0;
}
SEC("raw_tp/block_rq_issue")
int issued(struct bpf_raw_tracepoint_args *ctx)
{
    struct request *rq = (void *)ctx->args[0];
    return seen(rq, BPF_CORE_READ(rq, __data_len));
}
SEC("raw_tp/block_rq_complete")
int completed(struct bpf_raw_tracepoint_args *ctx)
{
    return seen((void *)ctx->args[0], (__u32)ctx->args[2]);
}
char LICENSE[] SEC("license") = "Dual MIT/GPL";

// SPDX-License-Identifier: MIT OR Apache-2.0 OR GPL-2.0-only
//
// Marks the chunks of one device that are written, in the kernel.
//
// Every request to every disk passes these programs, so what is no write to the
// tracked disk leaves at once. They only look: nothing waits for them, and
// nothing fails because of them.
//
// The completion is what counts. A mark made only when a write is issued could
// be taken, and the chunk read, before the write arrives; a mark made before the
// completion is reported is there for whoever waited for the write, and a freeze
// waits for all of them. The mark at issue costs little and lets a round copy a
// chunk that is under way once more rather than later.

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

// Of the kernel's headers only these numbers and fields are needed, so that
// none has to be installed. The loader moves the fields to where the running
// kernel has them (BTF), and refuses where one is gone.
enum {
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_F_MMAPABLE = 1 << 10,
};

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define KERNEL_LAYOUT __attribute__((preserve_access_index))

typedef __u64 sector_t;

struct gendisk {
	int major;
	int first_minor;
	__u64 diskseq;
} KERNEL_LAYOUT;

struct request_queue {
	struct gendisk *disk;
} KERNEL_LAYOUT;

struct bvec_iter {
	sector_t bi_sector;
	unsigned int bi_size;
} KERNEL_LAYOUT;

struct bio {
	struct bio *bi_next;
	struct bvec_iter bi_iter;
} KERNEL_LAYOUT;

struct request {
	struct request_queue *q;
	__u32 cmd_flags;
	unsigned int __data_len;
	sector_t __sector;
	struct bio *bio;
} KERNEL_LAYOUT;

enum {
	SECTOR_SHIFT = 9,
	SECTOR_SIZE = 1 << SECTOR_SHIFT,

	// The low byte of cmd_flags is the operation; odd ones carry data to the
	// device or change it (enum req_op).
	OP_MASK = 0xff,
	OP_CHANGES = 1,
	OP_DISCARD = 3,
	OP_SECURE_ERASE = 5,
	OP_PASSTHROUGH_OUT = 35,

	// A discard request carries at most as many bios as the device takes
	// ranges: 256 for NVMe, 128 at most for others.
	MOST_BIOS = 1024,

	WORD_SHIFT = 6,
	WORD_MASK = 63,
};

// What is tracked; the loader writes it. `struct Tracked` in programs.rs.
const volatile struct {
	__u32 major;
	__u32 minor;
	__u64 diskseq;
	__u64 first_sector;	// of the volume on its disk
	__u64 end_sector;	// after the volume's last
	__u64 disk_sectors;	// the whole disk's size
	__u32 chunk_shift;	// log2 of the sectors in a chunk
	__u32 padding;
} tracked = {};

// One bit a chunk, 64 of them in a value. The loader sets the size. `pending`
// belongs to the reader; it is declared here so that both are made alike.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} written SEC(".maps"), pending SEC(".maps");

// Writes that happened nobody knows where. Never go back to zero: a gap stays a
// gap until tracking starts anew. `GAPS` in record.rs.
enum gap {
	GAP_PASSTHROUGH,
	GAP_LOST,
	GAP_CHANGED,
	GAP_KINDS,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, GAP_KINDS);
} gaps SEC(".maps");

// What is tracked, for the process that finds it pinned. Written by Rust only;
// `struct Record` in record.rs.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 16);
} record SEC(".maps");

static __always_inline void count_gap(__u32 kind)
{
	__u64 *count = bpf_map_lookup_elem(&gaps, &kind);

	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline void mark_in_word(__u32 word, __u64 bits)
{
	__u64 *value = bpf_map_lookup_elem(&written, &word);

	// Chunks that are written again and again stay off the memory bus. A
	// reader that clears the bit after we saw it reads the chunk after that,
	// and the write is complete.
	if (value && (*value & bits) != bits)
		__sync_fetch_and_or(value, bits);
}

struct chunks {
	__u64 first, last;
};

static long mark_nth_word(__u64 n, struct chunks *chunks)
{
	__u64 word = (chunks->first >> WORD_SHIFT) + n;
	__u64 bits = ~0ULL;

	if (word == chunks->first >> WORD_SHIFT)
		bits &= ~0ULL << (chunks->first & WORD_MASK);
	if (word == chunks->last >> WORD_SHIFT)
		bits &= ~0ULL >> (WORD_MASK - (chunks->last & WORD_MASK));
	mark_in_word(word, bits);
	return 0;
}

static __always_inline void mark(sector_t first, __u64 bytes)
{
	sector_t end = first + ((bytes + SECTOR_SIZE - 1) >> SECTOR_SHIFT);

	if (!bytes)
		return;
	// A disk that grew has places without a bit.
	if (end > tracked.disk_sectors)
		count_gap(GAP_CHANGED);
	if (end <= tracked.first_sector || first >= tracked.end_sector)
		return;
	if (first < tracked.first_sector)
		first = tracked.first_sector;
	if (end > tracked.end_sector)
		end = tracked.end_sector;

	struct chunks chunks = {
		.first = (first - tracked.first_sector) >> tracked.chunk_shift,
		.last = (end - 1 - tracked.first_sector) >> tracked.chunk_shift,
	};
	__u64 further = (chunks.last >> WORD_SHIFT) - (chunks.first >> WORD_SHIFT);

	if (further)
		bpf_loop(further + 1, mark_nth_word, &chunks, 0);
	else
		mark_nth_word(0, &chunks);
}

struct walk {
	struct bio *bio;
};

static long mark_bio(__u64 n, struct walk *walk)
{
	struct bio *bio = walk->bio;

	if (!bio)
		return 1;
	mark(BPF_CORE_READ(bio, bi_iter.bi_sector), BPF_CORE_READ(bio, bi_iter.bi_size));
	walk->bio = BPF_CORE_READ(bio, bi_next);
	return 0;
}

static __always_inline int see(struct request *request, __u64 bytes)
{
	__u32 op = request->cmd_flags & OP_MASK;

	if (!(op & OP_CHANGES))
		return 0;

	struct gendisk *disk = request->q->disk;

	if (disk->major != tracked.major || disk->first_minor != tracked.minor)
		return 0;
	if (disk->diskseq != tracked.diskseq) {
		count_gap(GAP_CHANGED);
		return 0;
	}
	if (op == OP_PASSTHROUGH_OUT) {
		count_gap(GAP_PASSTHROUGH);
		return 0;
	}
	if (op == OP_DISCARD || op == OP_SECURE_ERASE) {
		// One request may carry ranges that do not touch: those of its bios.
		struct walk walk = { request->bio };

		bpf_loop(MOST_BIOS, mark_bio, &walk, 0);
		if (walk.bio)
			count_gap(GAP_LOST);
		return 0;
	}
	mark(request->__sector, bytes);
	return 0;
}

SEC("tp_btf/block_rq_issue")
int issued(__u64 *arguments)
{
	struct request *request = (void *)arguments[0];

	return see(request, request->__data_len);
}

// The kernel does not run a program on a processor that is in the middle of the
// same program: a completion in an interrupt that came in the middle of another
// completion would go unseen. Three copies cannot all be in the middle, since a
// task, a soft interrupt and a hard interrupt nest no deeper than that and the
// innermost needs one.
#define COMPLETED(name)                                                \
	SEC("tp_btf/block_rq_complete")                                \
	int name(__u64 *arguments)                                     \
	{                                                              \
		return see((void *)arguments[0], (__u32)arguments[2]); \
	}

COMPLETED(completed_first)
COMPLETED(completed_second)
COMPLETED(completed_third)

char LICENSE[] SEC("license") = "Dual MIT/GPL";

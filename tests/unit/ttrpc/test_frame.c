#include "ttrpc/frame.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

Test(ttrpc_frame, header_is_ten_bytes_big_endian)
{
	const struct ttrpc_header h = {0x01020304, 0xa0b0c0d0, TTRPC_REQUEST, TTRPC_REMOTE_OPEN};
	static const uint8_t wire[] = {1, 2, 3, 4, 0xa0, 0xb0, 0xc0, 0xd0, 1, 2};
	uint8_t bytes[TTRPC_HEADER_SIZE];
	struct ttrpc_header back;

	ttrpc_header_encode(&h, bytes);
	cr_assert_arr_eq(bytes, wire, sizeof(wire));
	ttrpc_header_decode(bytes, &back);
	cr_assert_eq(back.length, h.length);
	cr_assert_eq(back.stream, h.stream);
	cr_assert_eq(back.type, h.type);
	cr_assert_eq(back.flags, h.flags);
}

/* Frame `stream` with `len` bytes of data, each the stream's number. */
static size_t put(uint8_t *to, uint32_t stream, uint32_t len)
{
	const struct ttrpc_header h = {len, stream, TTRPC_REQUEST, 0};

	ttrpc_header_encode(&h, to);
	memset(to + TTRPC_HEADER_SIZE, (int)stream, len);
	return TTRPC_HEADER_SIZE + len;
}

Test(ttrpc_frame, decoder_gives_the_same_frames_for_every_size_of_piece)
{
	static const uint32_t lengths[] = {5, 0, 300, 1, 0};
	uint8_t wire[512];
	size_t total = 0, piece, i;

	for (i = 0; i < 5; i++)
		total += put(wire + total, (uint32_t)i + 1, lengths[i]);
	for (piece = 1; piece <= total; piece++) {
		struct ttrpc_decoder d;
		struct ttrpc_frame f;
		size_t at = 0, n = 0, used;

		ttrpc_decoder_init(&d);
		while (at < total) {
			size_t len = total - at < piece ? total - at : piece;

			if (ttrpc_decoder_feed(&d, wire + at, len, &used, &f)) {
				cr_assert_eq(f.header.stream, n + 1);
				cr_assert_eq(f.header.length, lengths[n]);
				cr_assert_eq(f.lost, 0);
				cr_assert_not_null(f.data);
				for (i = 0; i < lengths[n]; i++)
					cr_assert_eq(f.data[i], n + 1);
				n++;
			} else {
				cr_assert_eq(used, len);
			}
			at += used;
		}
		cr_assert_eq(n, 5, "pieces of %zu", piece);
		ttrpc_decoder_done(&d);
		ttrpc_decoder_done(&d);
	}
	ttrpc_decoder_done(NULL);
}

Test(ttrpc_frame, decoder_takes_exactly_4_mib_and_discards_one_byte_more)
{
	static uint8_t wire[TTRPC_HEADER_SIZE + TTRPC_DATA_MAX + 1];
	struct ttrpc_decoder d;
	struct ttrpc_frame f;
	size_t used, len;

	ttrpc_decoder_init(&d);
	len = put(wire, 1, TTRPC_DATA_MAX);
	cr_assert(ttrpc_decoder_feed(&d, wire, len, &used, &f));
	cr_assert_eq(used, len);
	cr_assert_eq(f.lost, 0);
	cr_assert_eq(f.data[TTRPC_DATA_MAX - 1], 1);

	len = put(wire, 3, TTRPC_DATA_MAX + 1);
	cr_assert_not(ttrpc_decoder_feed(&d, wire, len - 1, &used, &f));
	cr_assert_eq(d.data.cap, 0, "nothing is kept of it");
	cr_assert(ttrpc_decoder_feed(&d, wire + len - 1, 1, &used, &f));
	cr_assert_eq(f.lost, -EMSGSIZE);
	cr_assert_null(f.data);
	cr_assert_eq(f.header.stream, 3);

	len = put(wire, 5, 4);
	cr_assert(ttrpc_decoder_feed(&d, wire, len, &used, &f), "the next frame is whole again");
	cr_assert_eq(f.lost, 0);
	ttrpc_decoder_done(&d);
}

Test(ttrpc_frame, decoder_allocates_for_what_arrived_not_for_what_is_promised)
{
	uint8_t wire[TTRPC_HEADER_SIZE + 100];
	const struct ttrpc_header h = {TTRPC_DATA_MAX, 1, TTRPC_REQUEST, 0};
	struct ttrpc_decoder d;
	struct ttrpc_frame f;
	size_t used;

	memset(wire, 0, sizeof(wire));
	ttrpc_header_encode(&h, wire);
	ttrpc_decoder_init(&d);
	cr_assert_not(ttrpc_decoder_feed(&d, wire, sizeof(wire), &used, &f));
	cr_assert_leq(d.data.cap, 1024);
	ttrpc_decoder_done(&d);
}

#include "base/sha256.h"

#include <string.h>

/* FIPS 180-4, 4.2.2: the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

static inline uint32_t rotr(uint32_t x, unsigned n)
{
	return (x >> n) | (x << (32 - n));
}

static inline uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* One of the 64 rounds. Instead of moving all eight variables on by one, the next call names them
 * in the next order. */
static inline void hash_round(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e,
	uint32_t f, uint32_t g, uint32_t *h, uint32_t word)
{
	uint32_t s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
	uint32_t t1 = *h + s1 + ((e & f) ^ (~e & g)) + word;
	uint32_t s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);

	*d += t1;
	*h = t1 + s0 + ((a & b) ^ (a & c) ^ (b & c));
}

/* FIPS 180-4, 6.2.2 */
static void compress(uint32_t state[8], const uint8_t block[64])
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
	uint32_t w[64];

	for (unsigned t = 0; t < 16; t++)
		w[t] = load_be32(block + t * 4UL);
	for (unsigned t = 16; t < 64; t++) {
		uint32_t s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ (w[t - 15] >> 3);
		uint32_t s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ (w[t - 2] >> 10);

		w[t] = w[t - 16] + s0 + w[t - 7] + s1;
	}
	for (unsigned t = 0; t < 64; t += 8) {
		const uint32_t *k = round_constants + t, *x = w + t;

		hash_round(a, b, c, &d, e, f, g, &h, k[0] + x[0]);
		hash_round(h, a, b, &c, d, e, f, &g, k[1] + x[1]);
		hash_round(g, h, a, &b, c, d, e, &f, k[2] + x[2]);
		hash_round(f, g, h, &a, b, c, d, &e, k[3] + x[3]);
		hash_round(e, f, g, &h, a, b, c, &d, k[4] + x[4]);
		hash_round(d, e, f, &g, h, a, b, &c, k[5] + x[5]);
		hash_round(c, d, e, &f, g, h, a, &b, k[6] + x[6]);
		hash_round(b, c, d, &e, f, g, h, &a, k[7] + x[7]);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

	memcpy(s->state, start, sizeof(start));
	s->total = 0;
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t used = s->total % sizeof(s->block);

	s->total += len;
	while (len > 0) {
		size_t n = sizeof(s->block) - used;

		if (n > len)
			n = len;
		memcpy(s->block + used, p, n);
		p += n;
		len -= n;
		used += n;
		if (used == sizeof(s->block)) {
			compress(s->state, s->block);
			used = 0;
		}
	}
}

void sha256_final(struct sha256 *s, uint8_t ret_digest[SHA256_SIZE])
{
	uint64_t bits = s->total * 8;
	uint8_t length[8];
	static const uint8_t padding[64] = {0x80};
	size_t used = s->total % sizeof(s->block);

	store_be32(length, (uint32_t)(bits >> 32));
	store_be32(length + 4, (uint32_t)bits);
	sha256_update(s, padding, used < 56 ? 56 - used : 120 - used);
	sha256_update(s, length, sizeof(length));
	for (unsigned i = 0; i < 8; i++)
		store_be32(ret_digest + i * 4UL, s->state[i]);
}

void sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, data, len);
	sha256_final(&s, ret_digest);
}

void sha256_to_hex(const uint8_t digest[SHA256_SIZE], char ret_hex[SHA256_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SHA256_SIZE; i++) {
		ret_hex[i * 2] = digits[digest[i] >> 4];
		ret_hex[i * 2 + 1] = digits[digest[i] & 15];
	}
	ret_hex[SHA256_HEX_SIZE - 1] = '\0';
}

void sha256_hex(const void *data, size_t len, char ret_hex[SHA256_HEX_SIZE])
{
	uint8_t digest[SHA256_SIZE];

	sha256(data, len, digest);
	sha256_to_hex(digest, ret_hex);
}

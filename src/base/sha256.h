/* SHA-256 (FIPS 180-4): names of cached programs and images, and proofs that a file was not
 * changed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

/* A hash of bytes that come in pieces. All zero is not a valid start: call sha256_init. */
struct sha256 {
	uint32_t state[8];
	uint64_t total; /* bytes so far */
	uint8_t block[64];
};

/* Starts a hash. None of these functions allocates or fails. */
void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *data, size_t len);
/* Writes the digest; `s` must be initialised again before it is used for another one. */
void sha256_final(struct sha256 *s, uint8_t ret_digest[SHA256_SIZE]);

/* The digest of `len` bytes at once. `data` may be NULL when `len` is 0. */
void sha256(const void *data, size_t len, uint8_t ret_digest[SHA256_SIZE]);

/* The same as 64 lower-case hexadecimal digits and a NUL. */
void sha256_hex(const void *data, size_t len, char ret_hex[SHA256_HEX_SIZE]);

/* A digest as 64 lower-case hexadecimal digits and a NUL. */
void sha256_to_hex(const uint8_t digest[SHA256_SIZE], char ret_hex[SHA256_HEX_SIZE]);

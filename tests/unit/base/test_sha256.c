#include "base/sha256.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* FIPS 180-4 examples (NIST CSRC) and the padding's corner lengths (checked with coreutils). */
Test(base_sha256, gives_the_published_digests)
{
	static const struct {
		const char *text, *hex;
	} vectors[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
		 "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
			"cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
	};

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		char hex[SHA256_HEX_SIZE];

		sha256_hex(vectors[i].text, strlen(vectors[i].text), hex);
		cr_expect_str_eq(hex, vectors[i].hex);
	}
}

Test(base_sha256, hashes_a_million_letters)
{
	char *data = malloc(1000000), hex[SHA256_HEX_SIZE];

	memset(data, 'a', 1000000);
	sha256_hex(data, 1000000, hex);
	cr_expect_str_eq(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	free(data);
}

Test(base_sha256, does_not_depend_on_how_the_bytes_are_cut)
{
	uint8_t data[300], whole[SHA256_SIZE], pieces[SHA256_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t len = 0; len <= sizeof(data); len++) {
		for (size_t step = 1; step < 130; step += 21) {
			struct sha256 s;

			sha256(data, len, whole);
			sha256_init(&s);
			for (size_t at = 0; at < len; at += step)
				sha256_update(&s, data + at, len - at < step ? len - at : step);
			sha256_final(&s, pieces);
			cr_expect_arr_eq(
				whole, pieces, SHA256_SIZE, "length %zu, step %zu", len, step);
		}
	}
}

#include "operate/history.h"

#include <criterion/criterion.h>
#include <errno.h>
#include "base/macro.h"

Test(history, times)
{
	static const struct {
		const char *text, *expected;
	} good[] = {
		{"90s", "2026-11-29T05:38:30"},
		{"15m", "2026-11-29T05:25:00"},
		{"2h", "2026-11-29T03:40:00"},
		{"1d", "2026-11-28T05:40:00"},
		{"2026-11-29", "2026-11-29T00:00:00"},
		{"2026-11-29T05:40", "2026-11-29T05:40:00"},
		{"2026-11-29T05:40:07Z", "2026-11-29T05:40:07"},
	};
	static const char *const bad[] = {"", "5", "m", "5w", "-5m", "2026-11", "yesterday",
		"2026-11-29 05:40", "99999999999999d", "2026-11-29T05:40:07+01"};
	char when[HISTORY_WHEN_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		cr_assert_eq(history_when(good[i].text, 1795930800, when), 0, "%s", good[i].text);
		cr_expect_str_eq(when, good[i].expected);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_eq(history_when(bad[i], 1795930800, when), -EINVAL, "%s", bad[i]);
}

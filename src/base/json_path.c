#include "base/json_path.h"

#include <stdio.h>

enum { KEY_SHOWN_MAX = 80 };

static void put(struct json_path *p, char c)
{
	if (p->len + 1 >= sizeof(p->text))
		return;
	p->text[p->len++] = c;
	p->text[p->len] = '\0';
}

void json_path_key(struct json_path *p, const char *key, size_t len)
{
	if (p->len > 0)
		put(p, '.');
	for (size_t i = 0; i < len && i < KEY_SHOWN_MAX; i++)
		put(p, key[i] >= ' ' && key[i] <= '~' ? key[i] : '?');
	if (len > KEY_SHOWN_MAX) {
		for (int i = 0; i < 3; i++)
			put(p, '.');
	}
}

void json_path_index(struct json_path *p, size_t index)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "[%zu]", index);
	for (const char *c = text; *c; c++)
		put(p, *c);
}

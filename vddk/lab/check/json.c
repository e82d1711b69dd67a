/*
 * The library's reader of JSON by itself, for a test that feeds it with garbage:
 * texts come on standard input, each after its length (u32 of the machine), and for
 * each comes an answer alike: empty where the text is no JSON, else the tree as
 * JSON. Built with AddressSanitizer, it dies of the first byte that is read beyond
 * a text's end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../json.h"

static void quote(FILE *out, const char *text) {
	fputc('"', out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\' || c < 32)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void print(FILE *out, const struct json *json) {
	bool object = json->kind == JSON_OBJECT;
	if (json->kind == JSON_STRING) {
		quote(out, json->text);
	} else if (object || json->kind == JSON_ARRAY) {
		fputc(object ? '{' : '[', out);
		for (const struct json *child = json->first; child; child = child->next) {
			if (object) {
				quote(out, child->key);
				fputc(':', out);
			}
			print(out, child);
			if (child->next)
				fputc(',', out);
		}
		fputc(object ? '}' : ']', out);
	} else {
		fputs(json->text, out);
	}
}

/* As the library asks for what it wants. */
static void ask(const struct json *json) {
	for (const struct json *at = json->first; at; at = at->next) {
		json_string(at, "call", "");
		json_number(at, "nth", 1);
		json_bool(at, "shared");
		ask(at);
	}
	json_get(json, "proxies");
}

int main(void) {
	uint32_t length;
	while (fread(&length, sizeof length, 1, stdin) == 1) {
		char *text = calloc(1, (size_t)length + 1); /* no byte more than it needs */
		if (!text || fread(text, 1, length, stdin) != length)
			return 1;
		struct json *json = json_parse(text);
		char *answer = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&answer, &size);
		if (!out)
			return 1;
		if (json) {
			ask(json);
			print(out, json);
		}
		fclose(out);
		json_free(json);
		free(text);
		uint32_t n = (uint32_t)size;
		fwrite(&n, sizeof n, 1, stdout);
		fwrite(answer, 1, size, stdout);
		fflush(stdout);
		free(answer);
	}
	return 0;
}

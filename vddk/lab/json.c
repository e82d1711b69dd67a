/* See json.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define DEEPEST 32

struct reader {
	const char *at;
	int depth;
};

static struct json *value(struct reader *r);

static void skip(struct reader *r) {
	while (*r->at && strchr(" \t\r\n", *r->at))
		r->at++;
}

static int hex(const char *at) {
	int n = 0;
	for (int i = 0; i < 4; i++) {
		if (!isxdigit((unsigned char)at[i]))
			return -1;
		n = n * 16 + (isdigit((unsigned char)at[i]) ? at[i] - '0' : (at[i] | 32) - 'a' + 10);
	}
	return n;
}

/* Only what is in names and paths: beyond ASCII, the files have plain UTF-8. */
static char *string(struct reader *r) {
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (*r->at != '"')
		return NULL;
	r->at++;
	char *text = malloc(strlen(r->at) + 1), *end = text;
	while (text && *r->at && *r->at != '"') {
		if (*r->at != '\\') {
			*end++ = *r->at++;
			continue;
		}
		const char *known = r->at[1] ? strchr(from, r->at[1]) : NULL;
		int code = r->at[1] == 'u' ? hex(r->at + 2) : -1;
		if (!known && (code <= 0 || code > 127))
			break;
		*end++ = known ? to[known - from] : (char)code;
		r->at += known ? 2 : 6;
	}
	if (text && *r->at != '"') {
		free(text);
		return NULL;
	}
	if (text) {
		*end = 0;
		r->at++;
	}
	return text;
}

static struct json *make(enum json_kind kind, char *text) {
	struct json *json = calloc(1, sizeof *json);
	if (!json) {
		free(text);
		return NULL;
	}
	json->kind = kind;
	json->text = text;
	return json;
}

static bool members(struct reader *r, struct json *parent, char close) {
	struct json **last = &parent->first;
	r->at++;
	skip(r);
	if (*r->at == close) {
		r->at++;
		return true;
	}
	for (;;) {
		char *key = NULL;
		skip(r);
		if (close == '}') {
			key = string(r);
			skip(r);
			if (!key || *r->at != ':') {
				free(key);
				return false;
			}
			r->at++;
		}
		struct json *child = value(r);
		if (!child) {
			free(key);
			return false;
		}
		child->key = key;
		*last = child;
		last = &child->next;
		skip(r);
		char c = *r->at;
		if (c)
			r->at++;
		if (c == close)
			return true;
		if (c != ',')
			return false;
	}
}

static struct json *plain(struct reader *r) {
	size_t n = strcspn(r->at, " \t\r\n,]}");
	char *word = strndup(r->at, n);
	r->at += n;
	if (!word)
		return NULL;
	if (strcmp(word, "null") == 0)
		return make(JSON_NULL, word);
	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
		return make(JSON_BOOL, word);
	char *end;
	strtod(word, &end);
	if (n > 0 && *end == 0)
		return make(JSON_NUMBER, word);
	free(word);
	return NULL;
}

static struct json *value(struct reader *r) {
	skip(r);
	if (*r->at == '"') {
		char *text = string(r);
		return text ? make(JSON_STRING, text) : NULL;
	}
	if (*r->at != '[' && *r->at != '{')
		return plain(r);
	bool array = *r->at == '[';
	struct json *json = r->depth < DEEPEST ? make(array ? JSON_ARRAY : JSON_OBJECT, NULL) : NULL;
	if (!json)
		return NULL;
	r->depth++;
	bool good = members(r, json, array ? ']' : '}');
	r->depth--;
	if (good)
		return json;
	json_free(json);
	return NULL;
}

struct json *json_parse(const char *text) {
	struct reader r = {.at = text};
	struct json *json = value(&r);
	skip(&r);
	if (json && *r.at) {
		json_free(json);
		return NULL;
	}
	return json;
}

void json_free(struct json *json) {
	while (json) {
		struct json *next = json->next;
		json_free(json->first);
		free(json->key);
		free(json->text);
		free(json);
		json = next;
	}
}

const struct json *json_get(const struct json *object, const char *key) {
	if (!object || object->kind != JSON_OBJECT)
		return NULL;
	for (const struct json *child = object->first; child; child = child->next)
		if (strcmp(child->key, key) == 0)
			return child;
	return NULL;
}

const char *json_string(const struct json *object, const char *key, const char *otherwise) {
	const struct json *child = json_get(object, key);
	return child && child->kind == JSON_STRING ? child->text : otherwise;
}

int64_t json_number(const struct json *object, const char *key, int64_t otherwise) {
	const struct json *child = json_get(object, key);
	return child && child->kind == JSON_NUMBER ? strtoll(child->text, NULL, 10) : otherwise;
}

bool json_bool(const struct json *object, const char *key) {
	const struct json *child = json_get(object, key);
	return child && child->kind == JSON_BOOL && strcmp(child->text, "true") == 0;
}

/* JSON as the laboratory's files have it: read whole into a tree. */
#ifndef IVD_LAB_JSON_H
#define IVD_LAB_JSON_H

#include <stdbool.h>
#include <stdint.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	char *key;  /* in an object */
	char *text; /* of a string; of a number or a bool as it was written */
	struct json *first, *next;
};

/* NULL where the text is not JSON. json_free takes what json_parse gave. */
struct json *json_parse(const char *text);
void json_free(struct json *json);
/* What an object says, or the given when it does not. */
const struct json *json_get(const struct json *object, const char *key);
const char *json_string(const struct json *object, const char *key, const char *otherwise);
int64_t json_number(const struct json *object, const char *key, int64_t otherwise);
bool json_bool(const struct json *object, const char *key);

#endif

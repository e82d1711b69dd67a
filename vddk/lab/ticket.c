/* See ticket.h. The request is a form over HTTPS, the reply lines of key=value. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "ticket.h"

#define REPLY_MAX 65536

static bool same_thumbprint(const char *a, const char *b) {
	for (;;) {
		while (*a == ':' || *a == ' ')
			a++;
		while (*b == ':' || *b == ' ')
			b++;
		if (toupper((unsigned char)*a) != toupper((unsigned char)*b))
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

VixError lab_dial(const char *host, uint16_t port, const char *thumbprint, struct labtls **tls) {
	enum labtls_error why;
	char text[512];
	*tls = lab_tls->connect(host, port, lab_config.connect_ms, &why, text, sizeof text);
	if (!*tls) {
		lab_warn("cannot connect: %s\n", text);
		return why == LABTLS_RESOLVE ? VIX_SERVER_NOT_FOUND : why == LABTLS_REFUSED ? VIX_CONN_REFUSED : VIX_HANDSHAKE;
	}
	const char *shown = lab_tls->thumbprint(*tls);
	if (thumbprint && same_thumbprint(thumbprint, shown))
		return VIX_OK;
	lab_warn("the certificate of %s port %u has the thumbprint %s, %s%s was expected\n", host, port, shown,
		 thumbprint ? "" : "and none", thumbprint ? thumbprint : "");
	lab_tls->close(*tls);
	*tls = NULL;
	return VIX_FAIL;
}

struct text {
	char *data;
	size_t length;
};

static void field(FILE *out, const char *key, const char *value) {
	fprintf(out, "%s%s=", ftell(out) > 0 ? "&" : "", key);
	for (; value && *value; value++) {
		unsigned char c = (unsigned char)*value;
		if (isalnum(c) || strchr("-._~", c))
			fputc(c, out);
		else
			fprintf(out, "%%%02X", c);
	}
}

static bool form(const struct lab_ask *ask, struct text *body) {
	const VixConnectParams *params = ask->params;
	const VixVStorageObjectSpec *spec = &params->spec.vStorageObjSpec;
	FILE *out = open_memstream(&body->data, &body->length);
	if (!out)
		return false;
	if (params->credType == VIX_CRED_SESSIONID) {
		field(out, "cookie", params->creds.sessionId.cookie);
	} else {
		field(out, "user", params->creds.uid.userName);
		field(out, "password", params->creds.uid.password);
	}
	if (params->specType == VIX_SPEC_VSTORAGE_OBJECT) {
		field(out, "id", spec->id);
		field(out, "datastore", spec->datastoreMoRef);
		field(out, "snapshot", spec->ssId);
	} else {
		field(out, "vm", params->vmxSpec);
		field(out, "path", ask->path);
		field(out, "ref", ask->snapshot_ref);
	}
	field(out, "mode", ask->mode);
	field(out, "write", ask->write ? "1" : "0");
	field(out, "op", ask->op);
	return fclose(out) == 0;
}

static bool request(const struct lab_ask *ask, struct text *whole) {
	struct text body = {0};
	if (!form(ask, &body))
		return false;
	int n = asprintf(&whole->data,
		"POST /lab/nfc HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-www-form-urlencoded\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		ask->params->serverName, body.length, body.data);
	explicit_bzero(body.data, body.length);
	free(body.data);
	whole->length = n < 0 ? 0 : (size_t)n;
	return n >= 0;
}

bool lab_value(const char *text, const char *key, char *value, size_t size) {
	size_t n = strlen(key);
	for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		size_t length = strcspn(line + n + 1, "\r\n");
		if (length >= size)
			return false;
		memcpy(value, line + n + 1, length);
		value[length] = 0;
		return true;
	}
	return false;
}

static void place(const char *body, struct lab_ticket *ticket) {
	char yes[4] = "";
	lab_value(body, "disk", ticket->disk, sizeof ticket->disk);
	lab_value(body, "snapshot", ticket->snapshot, sizeof ticket->snapshot);
	lab_value(body, "dir", ticket->dir, sizeof ticket->dir);
	lab_value(body, "path", ticket->path, sizeof ticket->path);
	lab_value(body, "datastore", ticket->datastore, sizeof ticket->datastore);
	lab_value(body, "lun", ticket->lun, sizeof ticket->lun);
	lab_value(body, "machines", ticket->machines, sizeof ticket->machines);
	ticket->thick = lab_value(body, "thick", yes, sizeof yes) && yes[0] == '1';
	ticket->encrypted = lab_value(body, "encrypted", yes, sizeof yes) && yes[0] == '1';
}

static VixError understand(const char *reply, uint16_t nfc_port, struct lab_ticket *ticket) {
	char code[16], port[16] = "", message[1024] = "";
	const char *body = strstr(reply, "\r\n\r\n");
	if (strncmp(reply, "HTTP/1.1 200", 12) != 0 || !body || !lab_value(body + 4, "code", code, sizeof code)) {
		lab_warn("the vCenter gave no ticket: %.*s\n", (int)strcspn(reply, "\r\n"), reply);
		return VIX_HANDSHAKE;
	}
	body += 4;
	lab_value(body, "message", message, sizeof message);
	unsigned long vix = strtoul(code, NULL, 10);
	if (vix != VIX_OK) {
		lab_warn("the vCenter refused: code %lu, %s\n", vix, message);
		return vix;
	}
	place(body, ticket);
	if (!lab_value(body, "host", ticket->host, sizeof ticket->host) ||
	    !lab_value(body, "thumbprint", ticket->thumbprint, sizeof ticket->thumbprint) ||
	    !lab_value(body, "ticket", ticket->ticket, sizeof ticket->ticket) ||
	    !lab_value(body, "port", port, sizeof port))
		return VIX_HANDSHAKE;
	ticket->port = nfc_port ? nfc_port : (uint16_t)strtoul(port, NULL, 10);
	return VIX_OK;
}

VixError lab_ask_ticket(const struct lab_ask *ask, struct lab_ticket *ticket) {
	const VixConnectParams *params = ask->params;
	struct labtls *tls;
	*ticket = (struct lab_ticket){0};
	uint16_t port = params->port ? (uint16_t)params->port : 443;
	VixError err = lab_dial(params->serverName, port, params->thumbPrint, &tls);
	if (err != VIX_OK)
		return err;
	struct text whole = {0};
	char *reply = calloc(1, REPLY_MAX);
	if (!reply || !request(ask, &whole)) {
		err = VIX_OUT_OF_MEMORY;
	} else if (!lab_tls->write_all(tls, whole.data, whole.length, lab_config.read_ms) ||
		   lab_tls->read_to_end(tls, reply, REPLY_MAX - 1, lab_config.read_ms) <= 0) {
		err = VIX_CONN_LOST;
	} else {
		err = understand(reply, (uint16_t)params->nfcHostPort, ticket);
	}
	if (whole.data)
		explicit_bzero(whole.data, whole.length);
	free(whole.data);
	free(reply);
	lab_tls->close(tls);
	return err;
}

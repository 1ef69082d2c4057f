/* SPDX-License-Identifier: MIT
 * Runs a fuzz target without a fuzzing engine: every corpus file as it is, every truncation of the
 * small ones, then deterministic mutations (bit flips, byte changes, splices, insertion of
 * dictionary words) for a fixed number of steps, so that a failure repeats.
 *
 *   replay_x CORPUS_DIR [DICTIONARY [STEPS]] */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SEEDS 4096
#define MOST_WORDS 512
#define MOST_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct blob {
	uint8_t *p;
	size_t n;
};

static struct blob seeds[MOST_SEEDS], words[MOST_WORDS];
static size_t n_seeds, n_words;
static uint64_t rng = 0x9e3779b97f4a7c15u;

static uint64_t
draw(uint64_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return below == 0 ? 0 : rng % below;
}

static void
run(const uint8_t *p, size_t n)
{
	/* an exact-size heap copy, so that a sanitizer sees a read one past the end */
	uint8_t *copy = malloc(n == 0 ? 1 : n);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
load_seed(const char *dir, const char *name)
{
	char path[2048];
	FILE *f;

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL || n_seeds == MOST_SEEDS)
		exit(1);
	seeds[n_seeds].p = malloc(MOST_BYTES);
	seeds[n_seeds].n = fread(seeds[n_seeds].p, 1, MOST_BYTES, f);
	n_seeds++;
	(void)fclose(f);
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Lines of the form name="bytes", with \xNN, \\ and \" (the engines' format). */
static void
load_words(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	while (f != NULL && n_words < MOST_WORDS && fgets(line, sizeof line, f) != NULL) {
		char *q = strchr(line, '"'), *end = strrchr(line, '"');
		uint8_t *w;
		size_t n = 0;

		if (line[0] == '#' || q == NULL || end <= q)
			continue;
		w = malloc(sizeof line);
		for (q++; q < end; q++) {
			unsigned hex;

			if (q[0] == '\\' && q[1] == 'x' && sscanf(q + 2, "%2x", &hex) == 1) {
				w[n++] = (uint8_t)hex;
				q += 3;
			} else {
				if (q[0] == '\\')
					q++;
				w[n++] = (uint8_t)*q;
			}
		}
		words[n_words++] = (struct blob){ w, n };
	}
	if (f != NULL)
		(void)fclose(f);
}

static size_t
insert(uint8_t *b, size_t n, size_t at, const uint8_t *p, size_t len)
{
	if (n + len > MOST_BYTES)
		return n;
	memmove(b + at + len, b + at, n - at);
	memcpy(b + at, p, len);
	return n + len;
}

static size_t
mutate(uint8_t *b, size_t n)
{
	size_t at = (size_t)draw(n + 1), len;
	struct blob *s;

	switch (draw(7)) {
	case 0:
		if (n > 0)
			b[draw(n)] ^= (uint8_t)(1u << draw(8));
		return n;
	case 1:
		if (n > 0)
			b[draw(n)] = (uint8_t)draw(256);
		return n;
	case 2:
		return at;
	case 3:
		len = n - at < 16 ? n - at : (size_t)draw(16);
		memmove(b + at, b + at + len, n - at - len);
		return n - len;
	case 4:
		s = &seeds[draw(n_seeds)];
		len = s->n < 64 ? s->n : 64;
		return insert(b, n, at, s->p + draw(s->n - len + 1), len);
	case 5:
		len = n - at < 32 ? n - at : 32;
		return n + len > MOST_BYTES ? n : (memmove(b + at + len, b + at, n - at), n + len);
	default:
		s = n_words == 0 ? &seeds[draw(n_seeds)] : &words[draw(n_words)];
		return insert(b, n, at, s->p, s->n < 64 ? s->n : 64);
	}
}

int
main(int argc, char **argv)
{
	static uint8_t work[MOST_BYTES];
	static struct dirent **names; /* kept: a leak checker must see them */
	int n_names;
	unsigned long steps = argc > 3 ? strtoul(argv[3], NULL, 10) : 20000;

	n_names = argc < 2 ? -1 : scandir(argv[1], &names, NULL, by_name);
	for (int i = 0; i < n_names; i++) {
		if (names[i]->d_name[0] != '.')
			load_seed(argv[1], names[i]->d_name);
		free(names[i]);
	}
	if (n_names >= 0)
		free(names);
	if (n_seeds == 0) {
		(void)fprintf(stderr, "no corpus in %s\n", argc < 2 ? "(no folder given)" : argv[1]);
		return 1;
	}
	if (argc > 2 && argv[2][0] != '\0')
		load_words(argv[2]);
	run(work, 0);
	for (size_t i = 0; i < n_seeds; i++) {
		run(seeds[i].p, seeds[i].n);
		for (size_t cut = 0; seeds[i].n <= 4096 && cut < seeds[i].n; cut++)
			run(seeds[i].p, cut);
	}
	for (unsigned long i = 0; i < steps; i++) {
		struct blob *s = &seeds[draw(n_seeds)];
		size_t n = s->n;

		memcpy(work, s->p, n);
		for (uint64_t k = draw(4) + 1; k > 0; k--)
			n = mutate(work, n);
		run(work, n);
	}
	(void)printf("%zu seeds, %lu mutations\n", n_seeds, steps);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * model-parts.h - what the files of the model share: the model itself, and what
 * is done to it and to a poller. Those who drive it include model.h.
 */
#ifndef TESTS_MODEL_PARTS_H
#define TESTS_MODEL_PARTS_H

#include "harness.h"

#define SOCKET_PAIRS 8
#define PAIRS        12 /* the others are pipes */
#define PAIR_ENDS    (2 * PAIRS)
#define FILES        4 /* for more: two more pairs, of files */
#define ENDS         (PAIR_ENDS + FILES)
#define TIMERS       5
#define SIGNALS      2 /* for more */
#define CHILDREN     2 /* for more: one is dead */
#define POSTS        16
#define CAPACITY     (4 * PAIR_ENDS + TIMERS + POSTS)
#define NUMBERS      1024 /* descriptors are below this */

#define READ_WRITE (POLLING_IN | POLLING_OUT)
#define ALWAYS     (POLLING_HUP | POLLING_ERR)

/* One end of a pair; the other one has the index with the last bit flipped. */
struct end {
	polling_fd fd;
	bool open;
	/* What is between the ends. */
	size_t unread;   /* bytes to be read here */
	unsigned writes; /* that these bytes came in */
	bool full;       /* nothing more goes in here */
	bool shut;       /* it has shut down its writing */
	bool error;      /* is pending */
	/* The registration. */
	bool registered;
	bool armed;
	uint32_t interest;
	enum polling_mode mode;
	uintptr_t key;
	unsigned reports; /* since it was added */
	/* Of an edge source. */
	uint32_t news; /* conditions that came since the last report */
	bool stirred;  /* something happened that may make a report */
	/* Of the wait that is looked at. */
	bool seen;
};

/* The registration of a number that was closed undeleted. */
struct ghost {
	bool haunts; /* it is there, for all that is known */
	uintptr_t key;
	int pair;       /* that it was an end of */
	unsigned stale; /* events that may come, if a duplicate is open */
	bool revived;   /* in a child it may watch what has its number now */
};

enum timer_state { TIMER_ABSENT, TIMER_FAR, TIMER_DUE };

struct timer {
	enum timer_state state;
	bool repeats;
	bool races; /* it is due again at once */
	uintptr_t key;
	bool seen; /* in the wait that is looked at */
};

struct signal {
	bool registered;
	bool armed;
	enum polling_mode mode;
	uintptr_t key;
	uint32_t count; /* that have come since the last report */
};

/* A child of this process. */
struct child {
	bool registered;
	bool due;
	bool doubtful; /* may be due, in a child of its parent */
	uintptr_t key;
};

#define OPERATIONS     20 /* that are told after a failure */
#define OPERATION_SIZE 128

struct model {
	struct polling *p;
	/* What chooses: the generator or the bytes of an input. */
	uint64_t random;
	uint64_t seed;
	bool fed;   /* it is an input that is followed */
	bool bytes; /* choose; not in a child, which follows no input */
	const uint8_t *input;
	size_t left;    /* bytes of it */
	bool more;      /* there are files, and do_more() */
	bool forks;     /* do_more() may fork */
	unsigned depth; /* of forks that this process is below */
	/* Takes what disagree() has to say, and does not return; NULL where a
	 * case may be failed. */
	void (*tell)(const char *text);
	/* The choices of the generator as an input, if it is wanted. */
	uint8_t *record;
	size_t recorded;
	size_t record_room;
	int step;
	uint32_t serial; /* of keys and payloads */
	bool edges;      /* are supported */
	uint32_t rdhup;  /* POLLING_RDHUP, or 0 where it is not told */
	uint32_t reset;  /* POLLING_ERR where unread data makes a reset */
	int nested;      /* the poller's descriptor, or -1 */
	bool moves;      /* ends get other numbers */
	bool notified;
	bool hasty; /* the wait that is looked at began before what it tells */
	struct end ends[ENDS];
	struct ghost ghosts[NUMBERS];
	struct timer timers[TIMERS];
	struct signal signals[SIGNALS];
	struct child children[CHILDREN];
	struct polling_event posts[POSTS];
	int post_count;
	struct polling_event events[CAPACITY + 1];
	char text[OPERATIONS][OPERATION_SIZE];
	unsigned operations;
	bool verbose;
};

/* What a source may be asked for. */
#define INTEREST (READ_WRITE | POLLING_PRI | POLLING_RDHUP | ALWAYS)

/* model.c */
void note(struct model *m, const char *format, ...) HARNESS_PRINTF(2, 3);
void disagree(struct model *m, const char *format, ...) HARNESS_PRINTF(2, 3);
void expect_result(struct model *m, int result, int error);
unsigned pick(struct model *m, unsigned count);
uint32_t any_bits(struct model *m);
bool once_in(struct model *m, unsigned count);
uintptr_t new_key(struct model *m);
uint32_t random_interest(struct model *m);
bool is_file(int i);
bool is_pipe(int i);
bool is_socket(int i);
bool reads(int i);
bool writes(int i);
struct end *other_end(struct model *m, int i);
bool disarms(const struct end *e);
uint32_t conditions(struct model *m, int i);
uint32_t doubtful(struct model *m, int i);
uint32_t report(const struct end *e, uint32_t c);
uint32_t least(struct model *m, int i);
uint32_t most(struct model *m, int i);
void is_new(struct end *e, uint32_t news);
void may_be_new(struct end *e, uint32_t news);
void set_registration(struct model *m, int i, uint32_t interest,
    enum polling_mode mode, uintptr_t key);
bool mode_is_known(struct model *m, enum polling_mode mode);

/* model-sources.c */
const char *end_name(int i);
void add_as(struct model *m, int i, uint32_t interest, enum polling_mode mode);
void do_add(struct model *m, int i);
void modify_as(
    struct model *m, int i, uint32_t interest, enum polling_mode mode);
void do_modify(struct model *m, int i);
void do_delete(struct model *m, int i);
void do_refused(struct model *m, int i);
void do_write(struct model *m, int i);
void do_fill(struct model *m, int i);
void do_read(struct model *m, int i);
void do_shut(struct model *m, int i);
void do_close(struct model *m, int i);
void do_move(struct model *m, int i);
void make_pair(struct model *m, int pair);
void do_renew(struct model *m, int i);

/* model-others.c */
uintptr_t timer_id(struct model *m, unsigned i);
void do_set_timer(struct model *m, bool adds);
void do_delete_timer(struct model *m);
void do_signal(struct model *m);
bool signal_is_due(const struct signal *s);
void do_process(struct model *m);
void do_post(struct model *m);
void do_notify(struct model *m);

/* model-waits.c */
int count_due(struct model *m);
bool may_give(struct model *m);
void take_events(struct model *m, int count);
int begin_wait(struct model *m, int capacity);
void end_wait(struct model *m, int capacity, int due, int count);
void wait_for(struct model *m, int capacity);
void do_wait(struct model *m);
void do_wait_for_all(struct model *m);

/* model-arguments.c */
#define MORE 16
void do_more(struct model *m, int i, unsigned which);
void do_nest(struct model *m);

/* model-forks.c */
void do_fork(struct model *m);

/* model-threads.c */
#define HANDS 3 /* threads beside the first one */
void start_hands(struct model *m);
bool hands_wait(void);
void send_a_hand_to_wait(struct model *m);
void have_done(struct model *m, unsigned hand, int i, unsigned what);
void look_after_hands(struct model *m);
void end_hands(struct model *m);

/* test-model.c */
void operate(struct model *m, int i, unsigned what);

#endif /* TESTS_MODEL_PARTS_H */

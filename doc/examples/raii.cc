/* SPDX-License-Identifier: MIT */
/*
 * raii.cc - a poller and what it watches as objects of C++11, which end with
 * their scope, also when an exception leaves it.
 *
 *     raii
 *
 * A timer writes three lines into a pipe, one every 20 ms, whose other end is
 * watched too. Nothing is deleted or closed by hand.
 *
 *     c++ -std=c++11 raii.cc $(pkg-config --cflags --libs libpolling)
 */
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <polling.h>
#include <string>
#include <system_error>
#include <unistd.h>
#include <utility>

/* Throws what errno says if a call has failed. */
static int
checked(int result, const char *what)
{
	if (result == -1)
		throw std::system_error(errno, std::generic_category(), what);
	return result;
}

/* What a poller watches; its address is the key, so that it stays where it
 * is. There is a class for each kind, which adds and deletes it. */
class Watched
{
public:
	using Handler = std::function<void(const polling_event &)>;

	Watched(const Watched &) = delete;
	Watched &operator=(const Watched &) = delete;

	void
	handle(const polling_event &event)
	{
		handler(event);
	}

protected:
	explicit Watched(Handler h) : handler(std::move(h))
	{
	}
	~Watched() = default;

	std::uintptr_t
	key()
	{
		return reinterpret_cast<std::uintptr_t>(this);
	}

private:
	Handler handler;
};

class Poller
{
public:
	Poller() : poller(polling_create(0))
	{
		checked(poller == nullptr ? -1 : 0, "polling_create");
	}
	~Poller()
	{
		polling_destroy(poller);
	}
	Poller(const Poller &) = delete;
	Poller &operator=(const Poller &) = delete;

	/* Handles one event; false if there was none in this time. Only one at
	 * a time: a handler may end another source, whose event would then be
	 * among the ones that follow, with a key that leads nowhere. */
	bool
	wait(const timespec *limit = nullptr)
	{
		polling_event event;

		if (checked(polling_wait(poller, &event, 1, limit),
			"polling_wait") == 0)
			return false;
		reinterpret_cast<Watched *>(event.key)->handle(event);
		return true;
	}

	polling *
	get() const
	{
		return poller;
	}

private:
	polling *poller;
};

/* A descriptor, which must stay open for as long. */
class Descriptor : public Watched
{
public:
	Descriptor(
	    const Poller &p, polling_fd f, std::uint32_t interest, Handler h)
	    : Watched(std::move(h)), poller(p.get()), fd(f)
	{
		checked(polling_add(poller, fd, interest, POLLING_LEVEL, key()),
		    "polling_add");
	}
	~Descriptor()
	{
		(void)polling_delete(poller, fd);
	}

private:
	polling *poller;
	polling_fd fd;
};

class Timer : public Watched
{
public:
	Timer(const Poller &p, const timespec &interval, Handler h)
	    : Watched(std::move(h)), poller(p.get())
	{
		checked(polling_add_timer(
			    poller, key(), &interval, &interval, key()),
		    "polling_add_timer");
	}
	~Timer()
	{
		(void)polling_delete_timer(poller, key());
	}

private:
	polling *poller;
};

class Pipe
{
public:
	Pipe()
	{
		checked(pipe(ends), "pipe");
	}
	~Pipe()
	{
		(void)close(ends[0]);
		(void)close(ends[1]);
	}
	Pipe(const Pipe &) = delete;
	Pipe &operator=(const Pipe &) = delete;

	int
	reader() const
	{
		return ends[0];
	}

	void
	write(const std::string &text)
	{
		ssize_t size = ::write(ends[1], text.data(), text.size());

		checked(size == -1 ? -1 : 0, "write");
	}

	std::string
	read()
	{
		char text[64];
		ssize_t size = ::read(ends[0], text, sizeof text);

		checked(size == -1 ? -1 : 0, "read");
		return std::string(text, static_cast<std::size_t>(size));
	}

private:
	int ends[2];
};

/* Until three lines were read. The objects end in the reverse order, so that
 * the pipe is closed when it is no longer watched. */
static void
three_lines(Poller &poller)
{
	const timespec interval = {0, 20 * 1000 * 1000};
	Pipe line;
	int written = 0, read_so_far = 0;

	Timer writer(poller, interval, [&](const polling_event &) {
		line.write("line " + std::to_string(++written) + "\n");
	});
	Descriptor reader(
	    poller, line.reader(), POLLING_IN, [&](const polling_event &) {
		    std::cout << "read: " << line.read();
		    read_so_far++;
	    });
	while (read_so_far < 3)
		poller.wait();
}

int
main()
try {
	const timespec limit = {0, 100 * 1000 * 1000};
	Poller poller;

	three_lines(poller);
	std::cout << (poller.wait(&limit) ? "still watched" : "nothing more")
		  << std::endl;

	/* It is no descriptor; what was made before ends all the same. */
	try {
		Timer timer(poller, limit, [](const polling_event &) {});
		Descriptor none(poller, -1, POLLING_IN, {});
	} catch (const std::system_error &e) {
		std::cout << e.code().message() << ", "
			  << (poller.wait(&limit) ? "still watched"
						  : "nothing more")
			  << std::endl;
	}
	return 0;
} catch (const std::exception &e) {
	std::cerr << e.what() << std::endl;
	return 1;
}

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# no_pointers.sh DIRECTORY...   checks every *_shm.h below
# no_pointers.sh --self-test    checks that the check can fail
#
# A struct that processes share holds fixed-width integers, _Atomic of them, arrays of them
# and other such structs: no pointer, size_t, bool, enumeration or bit-field, nor any other
# type whose width depends on who compiled it. Functions and typedefs belong elsewhere.
set -eu

# shellcheck disable=SC2016
program='
function fail(why, text)
{
	gsub(/[ \t\n]+/, " ", text)
	sub(/^ /, "", text)
	printf "%s:%d: %s: %s\n", FILENAME_, line_of_text, why, text
	failed = 1
}

# Comments, literals and preprocessor lines give way to blanks; line ends stay.
function strip(s,    out, i, n, c, d, begin_of_line)
{
	out = ""
	n = length(s)
	begin_of_line = 1
	for (i = 1; i <= n; i++) {
		c = substr(s, i, 1)
		d = substr(s, i, 2)
		if (d == "/*") {
			for (i += 2; i <= n && substr(s, i, 2) != "*/"; i++)
				if (substr(s, i, 1) == "\n")
					out = out "\n"
			i++
			out = out " "
		} else if (d == "//") {
			while (i < n && substr(s, i + 1, 1) != "\n")
				i++
		} else if (c == "\"" || c == "\047") {
			for (i++; i <= n && substr(s, i, 1) != c; i++)
				if (substr(s, i, 1) == "\\")
					i++
			out = out "0"
			begin_of_line = 0
		} else if (c == "#" && begin_of_line) {
			if (substr(s, i) ~ /^#[ \t]*pragma[ \t]+pack/)
				out = out " PRAGMA_PACK * ; "
			while (i <= n && substr(s, i, 1) != "\n") {
				if (substr(s, i, 2) == "\\\n") {
					out = out "\n"
					i++
				} else if (substr(s, i, 2) == "/*") {
					for (i += 2; i <= n && substr(s, i, 2) != "*/"; i++)
						if (substr(s, i, 1) == "\n")
							out = out "\n"
					i++
				}
				i++
			}
			out = out "\n"
		} else {
			out = out c
			if (c == "\n")
				begin_of_line = 1
			else if (c != " " && c != "\t")
				begin_of_line = 0
		}
	}
	return out
}

# Takes "word ( ... )" out of the text; keeps what is in the parentheses if asked.
function take_out(text, word, keep,    i, depth, head, inner, c)
{
	while (match(text, word "[ \t\n]*\\(")) {
		head = substr(text, 1, RSTART - 1)
		depth = 1
		for (i = RSTART + RLENGTH; i <= length(text) && depth; i++) {
			c = substr(text, i, 1)
			if (c == "(")
				depth++
			else if (c == ")")
				depth--
		}
		inner = substr(text, RSTART + RLENGTH, i - 1 - RSTART - RLENGTH)
		text = head " " (keep ? "ATOMIC_OF " inner " " : "") substr(text, i)
	}
	return text
}

function check_member(text,    t)
{
	t = " " text " "
	if (t ~ /^[ \t\n]*(static_assert|_Static_assert)[^A-Za-z0-9_]/)
		return
	t = take_out(t, "__attribute__", 0)
	t = take_out(t, "_Alignas", 0)
	t = take_out(t, "alignas", 0)
	t = take_out(t, "[^A-Za-z0-9_][A-Z][A-Z0-9_]+", 0)
	t = take_out(t, "_Atomic", 1)
	gsub(/ATOMIC_OF/, "_Atomic", t)
	gsub(/\[[^]]*\]/, " ", t)
	gsub(/[ \t\n]+/, " ", t)
	gsub(/ ,/, ",", t)
	if (t ~ /^ *$/)
		return
	if (t ~ /\*/)
		fail("pointer", text)
	else if (t ~ /\(/)
		fail("function or pointer to one", text)
	else if (t ~ /[^A-Za-z0-9_](s?size_t|u?intptr_t|ptrdiff_t|atomic_u?intptr_t|atomic_size_t)[^A-Za-z0-9_]/)
		fail("width of an address", text)
	else if (t ~ /[^A-Za-z0-9_](bool|_Bool|atomic_bool)[^A-Za-z0-9_]/)
		fail("bool", text)
	else if (t ~ /[^A-Za-z0-9_]enum[^A-Za-z0-9_]/)
		fail("enumeration", text)
	else if (t ~ /:/)
		fail("bit-field", text)
	else if (t !~ /^ (const |_Atomic )*(u?int(8|16|32|64)_t|char|NESTED|(struct|union) [a-z0-9_]+_shm) ([A-Za-z_][A-Za-z0-9_]*(, [A-Za-z_][A-Za-z0-9_]*)* )?$/)
		fail("not a fixed-width integer or a _shm struct", text)
}

function check_outside(text,    t)
{
	t = " " text " "
	if (t ~ /^[ \t\n]*(static_assert|_Static_assert)[^A-Za-z0-9_]/)
		return
	t = take_out(t, "__attribute__", 0)
	gsub(/[ \t\n]+/, " ", t)
	if (t ~ /PRAGMA_PACK/)
		fail("packed", "#pragma pack")
	else if (t ~ / typedef /)
		fail("typedef", text)
	else if (t ~ /\(/)
		fail("function", text)
	else if (t ~ /\*/)
		fail("pointer", text)
	else if (t !~ /^ *((struct|union|enum) [A-Za-z0-9_]+ |NESTED )?$/)
		fail("neither a struct, a constant nor an assertion", text)
}

function check_file(s,    i, n, c, text, depth, kind, line, t)
{
	s = strip(s)
	n = length(s)
	text = ""
	depth = 0
	kind[0] = "file"
	line = 1
	for (i = 1; i <= n; i++) {
		c = substr(s, i, 1)
		if (c == "\n")
			line++
		if (text ~ /^[ \t\n]*$/)
			line_of_text = line
		if (c == "{") {
			t = take_out(" " text " ", "__attribute__", 0)
			t = take_out(t, "_Alignas", 0)
			t = take_out(t, "alignas", 0)
			t = take_out(t, "[^A-Za-z0-9_][A-Z][A-Z0-9_]+", 0)
			depth++
			if (t ~ /[^A-Za-z0-9_]enum[^A-Za-z0-9_]/)
				kind[depth] = "enum"
			else if (t ~ /[^A-Za-z0-9_](struct|union)[^A-Za-z0-9_]/ && t !~ /[()=]/)
				kind[depth] = "struct"
			else if (t ~ /^[ \t\n]*extern 0[ \t\n]*$/)
				kind[depth] = "file"
			else
				kind[depth] = "other"
			if (kind[depth] == "enum" && kind[depth - 1] == "struct")
				fail("enumeration", text)
			if (kind[depth] == "struct" && kind[depth - 1] == "file") {
				n_structs++
				if (t ~ / typedef /)
					fail("typedef", text)
			}
			if (kind[depth] == "other" && kind[depth - 1] == "file")
				fail("function", text)
			text = ""
		} else if (c == "}") {
			text = ""
			if (kind[depth] != "file" && kind[depth] != "other")
				text = "NESTED "
			if (depth > 0)
				depth--
		} else if (c == ";") {
			if (kind[depth] == "struct")
				check_member(text)
			else if (kind[depth] == "file")
				check_outside(text)
			text = ""
		} else {
			text = text c
		}
	}
	line_of_text = line
	if (depth != 0)
		fail("braces do not match", "")
}

function end_of_file()
{
	if (FILENAME_ != "")
		check_file(content)
	content = ""
}

FNR == 1 { end_of_file(); FILENAME_ = FILENAME; n_files++ }
{ content = content $0 "\n" }
END {
	end_of_file()
	if (!failed)
		printf "%d structs in %d headers: no address, nothing of uncertain width\n", n_structs, n_files
	exit failed
}
'

check() {
	find "$@" -name '*_shm.h' -size +0c -exec awk "$program" {} +
}

self_test() {
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	wrong=0

	# Line by line: a member that must be refused.
	while IFS= read -r member; do
		printf 'struct zcp_x_shm {\n\tuint64_t before;\n\t%s\n};\n' "$member" >"$dir/x_shm.h"
		if check "$dir" >/dev/null; then
			echo "not refused in a struct: $member"
			wrong=1
		fi
	done <<-'END'
		void *p;
		_Atomic(void *) p;
		uint8_t *_Atomic p;
		void (*f)(int);
		size_t n;
		_Atomic size_t n;
		atomic_size_t n;
		uintptr_t p;
		bool b;
		_Atomic(bool) b;
		_Bool b;
		enum zcp_state state;
		enum { A, B } state;
		uint32_t a : 3;
		uint32_t : 0;
		int n;
		unsigned long n;
		struct timespec t;
		struct zcp_pool pool;
		struct { uint32_t a; void *p; } inner;
		pthread_mutex_t lock;
		/* a comment */ char *s; /* another */
	END

	# And what must be refused outside of one.
	while IFS= read -r line; do
		printf '%s\nstruct zcp_x_shm {\n\tuint64_t a;\n};\n' "$line" >"$dir/x_shm.h"
		if check "$dir" >/dev/null; then
			echo "not refused: $line"
			wrong=1
		fi
	done <<-'END'
		int zcp_x_init(struct zcp_x_shm *x);
		static inline uint32_t zcp_x_seq(uint64_t slot) { return (uint32_t)slot; }
		typedef uint32_t zcp_ref;
		#pragma pack(1)
		extern const char *name;
	END

	cat >"$dir/x_shm.h" <<-'END'
		/* a pointer: void *p; size_t n; int f(void); */
		#ifndef X
		#define X
		#include <stdalign.h>
		#define ZCP_TWICE(x) \
			((x) * 2) /* bool *b; */
		#ifdef __cplusplus
		extern "C" {
		#endif
		enum { ZCP_X_FLAG = 1 << 3, ZCP_X_MAX = 4 * 2 };
		enum zcp_x_state { ZCP_X_NEW, ZCP_X_READY };
		struct zcp_y_shm;
		union zcp_y_shm { uint8_t bytes[2 * 8]; uint64_t words[2]; };
		struct alignas(64) zcp_x_shm { // bool b;
			/* written by: owner; read by: all */
			alignas(64) _Atomic uint64_t state;
			_Atomic(uint32_t) seq, next;
			_Alignas(ZCP_TWICE(32)) _Atomic uint64_t holders[ZCP_X_MAX * 4];
			union zcp_y_shm y[2];
			char name[64];
			struct { int32_t a; uint16_t b[2]; } pair;
			struct { uint8_t pad[8]; };
			ZCP_CACHELINE(1) const uint8_t reserved[64 - sizeof(uint64_t) * 2];
		} __attribute__((aligned(64)));
		static_assert(sizeof(struct zcp_x_shm) == 64 * 2, "size; of *it: (all)");
		static_assert(offsetof(struct zcp_x_shm, seq) == 8, "int f(void);");
		#ifdef __cplusplus
		}
		#endif
		#endif
	END
	if ! check "$dir"; then
		echo "refused without a reason"
		wrong=1
	fi
	return $wrong
}

case ${1-} in
--self-test)
	self_test
	;;
?*)
	if [ -z "$(find "$@" -name '*_shm.h')" ]; then
		echo "no *_shm.h below $*"
		exit 77
	fi
	check "$@"
	;;
*)
	sed -n 's/^# \(no_pointers.sh .*\)/usage: \1/p' "$0" >&2
	exit 2
	;;
esac

#!/bin/sh
# build.sh OUTDIR [sanitize]: the keeper and its tests, into OUTDIR. CC and LDFLAGS are taken from the environment.
set -eu
here=$(dirname "$0")
keeper=$here/..
out=$1
mkdir -p "$out"

flags="-std=c11 -g -Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror -fstack-protector-strong -fPIE"
if [ "${2:-}" = sanitize ]; then
	flags="$flags -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
	link="-pie"
else
	flags="$flags -O2 -D_FORTIFY_SOURCE=3"
	link="-static-pie -Wl,-z,relro,-z,now,-z,noexecstack"
fi

sources=
for file in "$keeper"/*.c; do
	[ "$(basename "$file")" = main.c ] || sources="$sources $file"
done

# shellcheck disable=SC2086 # the lists are meant to be split
${CC:-cc} $flags $link ${LDFLAGS:-} -o "$out/holdfast-keeper" "$keeper/main.c" $sources
for file in "$here"/*_test.c; do
	[ -e "$file" ] || continue
	# shellcheck disable=SC2086
	${CC:-cc} $flags $link ${LDFLAGS:-} -I"$keeper" -o "$out/$(basename "$file" .c)" "$file" $sources
done

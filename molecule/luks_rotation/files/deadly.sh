#!/bin/sh
# Does what it is asked, and kills whoever asked when its turn has come. What only reads has no turn.
PATH=/usr/sbin:/usr/bin:/sbin:/bin "$(basename "$0")" "$@"
status=$?
case "$*" in
*--test-passphrase* | decrypt* | luksDump*) exit $status ;;
esac
left=$(cat /run/deadly)
echo $((left - 1)) >/run/deadly
[ "$left" -gt 0 ] || kill -KILL "$PPID"
exit $status

package signedlist

import (
	"bytes"
	"fmt"
	"strings"
)

// encodeNSS writes a shell script that makes an NSS database trust the anchors
// for mail, and no longer those that an earlier such script put there. Nothing
// that others wrote reaches the shell but in comments.
func encodeNSS(s *sheet) ([]byte, error) {
	prefix := fmt.Sprintf("bridge-%x-", s.origin()[:4])
	var b bytes.Buffer
	b.WriteString("#!/bin/sh\n" + comment(s.heading()) + strings.ReplaceAll(`#
# Needs certutil of the NSS tools. Close the program that uses the database first.
set -eu
db=${1:?usage: sh anchors-nss.sh sql:DIRECTORY}

certutil -L -d "$db" | sed -n 's/^\(PREFIX[a-z0-9-]*\) .*/\1/p' | while read -r name; do
	certutil -D -d "$db" -n "$name"
done
add() { certutil -A -d "$db" -n "PREFIX$1" -t ,C, -a; }
`, "PREFIX", prefix))
	for _, r := range s.rows {
		b.WriteString("\n" + comment(r.text()) + "add " + r.name + " <<'END'\n")
		b.Write(r.pem)
		b.WriteString("END\n")
	}
	return b.Bytes(), nil
}

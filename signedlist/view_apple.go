package signedlist

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
)

// encodeApple writes a configuration profile, which macOS and iOS install when
// their user agrees. A later one has the same identifier, so it replaces it.
func encodeApple(s *sheet) ([]byte, error) {
	var b bytes.Buffer
	id := fmt.Sprintf("bridge-%x.anchors", s.origin()[:4])
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
<key>PayloadContent</key>
<array>
`)
	for _, r := range s.rows {
		b.WriteString("<dict>\n<key>PayloadContent</key>\n<data>")
		b.WriteString(base64.StdEncoding.EncodeToString(r.Certificate.Raw))
		b.WriteString("</data>\n")
		payload(&b, "com.apple.security.root", id+"."+r.name, uuid(r.fingerprint[:]), r.Title, r.text())
		b.WriteString("</dict>\n")
	}
	b.WriteString("</array>\n")
	payload(&b, "Configuration", id, uuid(s.origin()), fmt.Sprintf("S/MIME trust anchors, list %d", s.Number), s.heading())
	b.WriteString("</dict>\n</plist>\n")
	return b.Bytes(), nil
}

// payload writes the keys that every payload has.
func payload(b *bytes.Buffer, kind, identifier, uuid, name, description string) {
	for _, kv := range [][2]string{
		{"PayloadType", kind}, {"PayloadIdentifier", identifier}, {"PayloadUUID", uuid},
		{"PayloadDisplayName", plain(name)}, {"PayloadDescription", description},
	} {
		b.WriteString("<key>" + kv[0] + "</key>\n<string>")
		_ = xml.EscapeText(b, []byte(kv[1])) // a buffer takes everything
		b.WriteString("</string>\n")
	}
	b.WriteString("<key>PayloadVersion</key>\n<integer>1</integer>\n")
}

// uuid is a UUID of version 8 (RFC 9562 §5.8) from the first 16 bytes of seed.
func uuid(seed []byte) string {
	u := bytes.Clone(seed[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("%X-%X-%X-%X-%X", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
)

// Bounds on the picture: beyond them it would show nothing.
const (
	maxDrawnMembers = 60
	maxDrawnStays   = 60 // lines; if there are more, none is drawn
	maxLegendLines  = 30
)

// drawTo writes the picture: the bridge in the middle, members around it, and a
// line for every two that a path connects. What a line means is in its width,
// its dashes, its number and the words beside the number, never in colour alone.
func (p preview) drawTo(w io.Writer) error {
	strands, changes := p.strands()
	d := p.layout(min(changes, maxLegendLines))
	stays := len(strands) - changes
	d.printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" font-family=\"sans-serif\" font-size=\"14\">\n",
		d.width, d.height, d.width, d.height)
	d.printf("<title>%s</title>\n<desc>%s</desc>\n", escapeXML("Admitting "+p.Member), escapeXML(p.Summary))
	d.printf("<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"14\" markerHeight=\"14\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path d=\"M0,0 L10,5 L0,10 z\"/></marker></defs>\n")
	d.printf("<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n")
	d.text(20, 28, "start", " font-size=\"18\" font-weight=\"bold\"", "Admitting "+p.Member)
	d.text(20, 50, "start", "", p.Summary)
	if stays <= maxDrawnStays {
		d.lines(strands, false)
	}
	d.lines(strands, true)
	d.numbers(strands, p.Member)
	d.nodes(p)
	d.legend(strands, stays)
	d.printf("</svg>\n")
	_, err := w.Write(d.Bytes())
	return err
}

// drawing is a picture under way. All lengths are in pixels.
type drawing struct {
	bytes.Buffer
	width, height, cx, cy, radius float64
	at                            map[string]int // place of each drawn member on the circle
	order                         []string
	omitted                       int
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.Buffer, format, args...) }

func (d *drawing) text(x, y float64, anchor, attributes, s string) {
	d.printf("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", x, y, anchor, attributes, escapeXML(s))
}

// layout puts the member on top and the others around; where there are too
// many, those without a change are left out first.
func (p preview) layout(legendLines int) *drawing {
	order := []string{p.Member}
	place := map[string]int{p.Member: 0}
	add := func(id string) {
		if _, ok := place[id]; !ok && len(order) < maxDrawnMembers {
			place[id] = len(order)
			order = append(order, id)
		}
	}
	for _, x := range p.Paths {
		if x.Change != "stays" {
			add(x.From)
			add(x.To)
		}
	}
	for _, id := range p.Members {
		add(id)
	}
	radius := math.Max(170, 14*float64(len(order)))
	d := &drawing{at: place, order: order, radius: radius, omitted: max(0, len(p.Members)-len(order))}
	d.cx, d.cy = radius+190, radius+130
	d.width = 2 * d.cx
	d.height = d.cy + radius + 90 + 20*float64(legendLines+2)
	return d
}

func (d *drawing) point(i int) (x, y float64) {
	a := 2*math.Pi*float64(i)/float64(len(d.order)) - math.Pi/2
	return d.cx + d.radius*math.Cos(a), d.cy + d.radius*math.Sin(a)
}

// strand is all paths of one change from one member to another.
type strand struct {
	change, from, to string
	words            string
	number           int // in the legend; 0 for what stays
}

// strands are in the order of the paths: what opens first. It also counts those
// that change.
func (p preview) strands() (out []strand, changes int) {
	index := map[[3]string]int{}
	for _, x := range p.Paths {
		key := [3]string{x.Change, x.From, x.To}
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			s := strand{change: x.Change, from: x.From, to: x.To}
			if x.Change != "stays" {
				changes++
				s.number = changes
				s.words = fmt.Sprintf("%d %s: %s to %s", s.number, x.Change, x.From, x.To)
			}
			out = append(out, s)
		}
		if x.Change == "stays" {
			continue
		}
		out[i].words += "; " + x.CA + " under " + strings.Join(x.Policies, ", ")
		if x.Beyond {
			out[i].words += " (beyond " + x.To + ")"
		}
	}
	return out, changes
}

// lines draws the strands that change, or those that stay.
func (d *drawing) lines(strands []strand, changing bool) {
	for _, s := range strands {
		c, ok := d.curve(s)
		if !ok || (s.change != "stays") != changing {
			continue
		}
		style := `stroke="#767676" stroke-width="1"`
		switch s.change {
		case "opens":
			style = `stroke="#00509e" stroke-width="4"`
		case "closes":
			style = `stroke="#a02000" stroke-width="3" stroke-dasharray="10 6"`
		}
		d.printf("<path d=\"M%.1f,%.1f Q%.1f,%.1f %.1f,%.1f\" fill=\"none\" %s marker-end=\"url(#arrow)\"/>\n", c.x1, c.y1, c.bx, c.by, c.x2, c.y2, style)
	}
}

// numbers marks the lines that the legend explains, on the side of the other
// member: near the one previewed they all meet.
func (d *drawing) numbers(strands []strand, previewed string) {
	for _, s := range strands {
		c, ok := d.curve(s)
		if !ok || s.number == 0 || s.number > maxLegendLines {
			continue
		}
		u := 0.25
		if s.from == previewed {
			u = 0.7
		}
		x := (1-u)*(1-u)*c.x1 + 2*u*(1-u)*c.bx + u*u*c.x2
		y := (1-u)*(1-u)*c.y1 + 2*u*(1-u)*c.by + u*u*c.y2
		d.printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"10\" fill=\"white\" stroke=\"black\"/>\n", x, y)
		d.text(x, y+4, "middle", ` font-size="12"`, fmt.Sprint(s.number))
	}
}

// curve is a quadratic Bézier curve from member to member.
type curve struct{ x1, y1, bx, by, x2, y2 float64 }

// curve bends towards the bridge, the two directions to different sides of it,
// and ends at the edge of the nodes. Strands whose ends are not both drawn have
// none.
func (d *drawing) curve(s strand) (c curve, ok bool) {
	from, ok1 := d.at[s.from]
	to, ok2 := d.at[s.to]
	if !ok1 || !ok2 || from == to {
		return c, false
	}
	x1, y1 := d.point(from)
	x2, y2 := d.point(to)
	const aside, gap = 60, 26
	length := math.Hypot(x2-x1, y2-y1)
	c.bx, c.by = d.cx-aside*(y2-y1)/length, d.cy+aside*(x2-x1)/length
	inwards := func(x, y float64) (float64, float64) {
		l := math.Hypot(c.bx-x, c.by-y)
		return x + gap*(c.bx-x)/l, y + gap*(c.by-y)/l
	}
	c.x1, c.y1 = inwards(x1, y1)
	c.x2, c.y2 = inwards(x2, y2)
	return c, true
}

func (d *drawing) nodes(p preview) {
	d.printf("<g><title>%s</title><rect x=\"%.1f\" y=\"%.1f\" width=\"72\" height=\"30\" rx=\"4\" fill=\"white\" stroke=\"black\" stroke-width=\"2\"/>\n", escapeXML(p.Bridge), d.cx-36, d.cy-15)
	d.text(d.cx, d.cy+5, "middle", "", "bridge")
	d.printf("</g>\n")
	for i, id := range d.order {
		x, y := d.point(i)
		d.printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"16\" fill=\"white\" stroke=\"black\" stroke-width=\"2\"/>\n", x, y)
		label, anchor := id, "middle"
		if id == p.Member { // a second ring, and a word
			d.printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"10\" fill=\"none\" stroke=\"black\" stroke-width=\"2\"/>\n", x, y)
			label += " (previewed)"
		}
		lx, ly := d.cx+(x-d.cx)*(1+26/d.radius), d.cy+(y-d.cy)*(1+30/d.radius)+5
		switch {
		case lx > d.cx+20:
			anchor = "start"
		case lx < d.cx-20:
			anchor = "end"
		}
		d.text(lx, ly, anchor, "", label)
	}
}

// legend says in words what the numbered lines are.
func (d *drawing) legend(strands []strand, stays int) {
	y := d.cy + d.radius + 70
	key := "thick line: opens · dashed line: closes · thin line: stays"
	if stays > maxDrawnStays {
		key = fmt.Sprintf("thick line: opens · dashed line: closes · not drawn: %d that stay", stays)
	}
	d.text(20, y, "start", "", key)
	for _, s := range strands {
		if s.number == 0 || s.number > maxLegendLines {
			continue
		}
		y += 20
		words := []rune(s.words)
		if most := int((d.width - 40) / 7); len(words) > most {
			words = append(words[:most-1], '…')
		}
		d.text(20, y, "start", "", string(words))
	}
	var more []string
	if n := len(strands) - stays - maxLegendLines; n > 0 {
		more = append(more, counted(n, "line")+" without a number")
	}
	if d.omitted > 0 {
		more = append(more, counted(d.omitted, "member")+" not drawn")
	}
	if more != nil {
		d.text(20, y+20, "start", "", strings.Join(more, " · "))
	}
}

// escapeXML makes s text of an XML document, without what hides or reorders it.
func escapeXML(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}

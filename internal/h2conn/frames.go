package h2conn

import "encoding/binary"

// HTTP/2 frames, RFC 9113, sections 4.1, 6.5 and 6.8.
const (
	headerSize           = 9
	settingSize          = 6
	goAwaySize           = 8 // without the debug data
	headersFrame         = 1
	settingsFrame        = 4
	goAwayFrame          = 7
	ackFlag              = 1
	maxConcurrentStreams = 3
	reserved             = 1 << 31 // before the number of a stream
)

// frames follows the frames of a server, in whatever pieces they come. It keeps the
// part of a header, of one setting or of a GOAWAY that has come so far, and nothing
// else.
type frames struct {
	part [headerSize]byte
	have int    // bytes in part
	left uint32 // bytes of the present frame's payload still to come
	unit int    // bytes of what is read of the payload at a time; 0 if it does not matter

	goAway *GoAway // the present frame, once its fixed part has come; nil in a frame that is none

	answered uint32 // the highest stream of which HEADERS have begun to come; 0 is none
}

// maxDebug bounds what is kept of a GOAWAY's debug data, in bytes.
const maxDebug = 256

// found is what some bytes contained. Of several limits the last one counts.
type found struct {
	limit   uint32 // of streams that may be open
	limited bool
	goAways []GoAway
}

// follow takes the next bytes.
func (f *frames) follow(p []byte) (all found) {
	for len(p) > 0 {
		switch {
		case f.left == 0:
			p = f.fill(p, headerSize)
			if f.have == headerSize {
				f.begin()
			}
		case f.unit > 0 && f.left+uint32(f.have) >= uint32(f.unit):
			before := len(p)
			p = f.fill(p, f.unit)
			f.left -= uint32(before - len(p))
			if f.have == f.unit {
				f.have = 0
				f.read(&all)
			}
		default: // of no interest, but for debug data
			skip := min(uint32(len(p)), f.left)
			if g := f.goAway; g != nil {
				g.Debug += string(p[:min(int(skip), maxDebug-len(g.Debug))])
			}
			f.left -= skip
			p = p[skip:]
		}
		if f.goAway != nil && f.left == 0 {
			all.goAways = append(all.goAways, *f.goAway)
			f.goAway = nil
		}
	}
	return all
}

// read takes what a whole unit says.
func (f *frames) read(all *found) {
	switch {
	case f.unit == goAwaySize:
		f.goAway = &GoAway{
			Last: binary.BigEndian.Uint32(f.part[:]) &^ reserved,
			Code: binary.BigEndian.Uint32(f.part[4:]),
		}
		f.unit = 0 // what follows is debug data
	case binary.BigEndian.Uint16(f.part[:]) == maxConcurrentStreams:
		all.limit, all.limited = binary.BigEndian.Uint32(f.part[2:]), true
	}
}

// fill moves bytes of p to part until that has size bytes, and returns the rest.
func (f *frames) fill(p []byte, size int) []byte {
	n := copy(f.part[f.have:size], p)
	f.have += n
	return p[n:]
}

// begin reads the header of a frame.
func (f *frames) begin() {
	h := f.part
	f.have, f.unit = 0, 0
	f.left = uint32(h[0])<<16 | uint32(h[1])<<8 | uint32(h[2])
	switch {
	case h[3] == headersFrame:
		f.answered = max(f.answered, binary.BigEndian.Uint32(h[5:])&^reserved)
	case h[3] == settingsFrame && h[4]&ackFlag == 0:
		f.unit = settingSize
	case h[3] == goAwayFrame:
		f.unit = goAwaySize
	}
}

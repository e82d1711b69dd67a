package format

import "ivdmover/shared/ivd"

// OwnPack stands, in a page as it is stored, for the index pack that the page
// itself lies in: a page and its nodes share a pack, and a pack's id, being the
// sum of its bytes, cannot stand within them. A page that was read is Resolved.
var OwnPack = func() (own ivd.PackID) {
	for i := range own {
		own[i] = 0xff
	}
	return own
}()

// Resolve puts the pack that the page was read from in the place of OwnPack. The
// page's packs are then no longer in the order of their ids.
func (p *Page) Resolve(own ivd.PackID) {
	for i := range p.Packs {
		if p.Packs[i].ID == OwnPack {
			p.Packs[i].ID = own
		}
	}
	for i := range p.Spans {
		if p.Spans[i].Place.Pack == OwnPack {
			p.Spans[i].Place.Pack = own
		}
	}
	p.index = nil
}

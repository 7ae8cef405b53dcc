/* SPDX-License-Identifier: Apache-2.0 */
/* import_samples.c -- the texts by which int8 models are scaled and smaller types are
 * judged. Written for this purpose: questions with two passages each, one that answers and
 * one that only looks so; plain and odd, short and long, several languages and scripts. */
#include "nn/import/import_internal.h"

static const struct {
    const char *query, *answer, *near;
} samples[QN_IMPORT_QUERIES] = {
    {"how does a water mill grind grain",
     "A wheel in the stream turns a shaft; gears turn it faster and upright; at its "
     "upper "
     "end the runner stone spins over the bed stone that lies still. Grain falls "
     "through "
     "the eye of the runner, is cut between the furrows of both stones and leaves at "
     "the "
     "rim as flour.",
     "The mill by the lower bridge was sold in 1907 and is a restaurant today. Its "
     "wheel "
     "was taken away for scrap during the war; the stones lie in the garden."},
    {"opening hours of the town library on Saturday",
     "Library: Mon-Fri 9.00-18.30, Sat 10.00-14.00, closed on Sundays and on public "
     "holidays.",
     "The library holds 84,000 volumes, among them 312 from before 1800. Readers over "
     "65 "
     "and pupils pay nothing for a card."},
    {"error: undefined reference to `pthread_create'",
     "The linker did not see the thread library. Add -pthread to the compiler's and "
     "the "
     "linker's flags (not only -lpthread), after the object files that need it:\n"
     "    cc -O2 main.o worker.o -pthread -o server\n"
     "With CMake: find_package(Threads REQUIRED) and target_link_libraries(server "
     "PRIVATE "
     "Threads::Threads).",
     "pthread_join(3) waits for the thread to end. If it has ended already, the call "
     "returns at once; the second call for the same thread is undefined behaviour."},
    {"can I get my money back if the parcel never came",
     "Refunds are paid to the original card within five working days after the carrier "
     "has confirmed the loss, at the latest 30 days after the order was sent. You need "
     "not "
     "do anything but tell us the order number.",
     "Parcels of up to 30 kg are delivered to the door; larger ones to the kerb. The "
     "driver rings once and leaves a card."},
    {"side effects of taking ibuprofen every day",
     "Taken daily for weeks, ibuprofen may irritate the stomach (heartburn, in rare "
     "cases "
     "bleeding), raise blood pressure and strain the kidneys, above all in older "
     "people "
     "and together with diuretics. Whoever needs it for more than ten days should ask "
     "a "
     "doctor.",
     "Ibuprofen 400 mg, 20 film-coated tablets. Store below 25 C, out of the reach of "
     "children. Do not use after the date on the box."},
    {"when does the lake freeze",
     "The lake freezes in January, and by March the ice is too thin to walk on.",
     "Freezing fish keeps it for three months; fat kinds for two."},
    {"difference between TCP and UDP",
     "TCP gives a stream of bytes that arrives whole and in order, or an error: it "
     "numbers "
     "bytes, repeats what was lost and slows down when the path is full. UDP sends "
     "single "
     "datagrams that may be lost, doubled or overtaken; in return nothing waits. "
     "Calls, "
     "games and DNS take UDP, files and pages TCP.",
     "Open ports of the router: 22/tcp, 53/udp, 80/tcp, 443/tcp, 51820/udp."},
    {"cheap running shoes for wide feet, size 44",
     "TRAIL 3 running shoe, men, EU 40-47, extra wide (4E) last, 10 mm drop, 290 g, "
     "mesh, "
     "was 89.95 now 49.95 EUR",
     "Leather shoe, black, narrow last, EU 44, goodyear welted, 349.00 EUR"},
    {"who decides about the budget of the municipality",
     "The budget is drawn up by the treasurer, discussed in the finance committee and "
     "adopted by the council with the majority of its members (section 12, paragraph "
     "3); "
     "the mayor may not spend more than 5,000 outside of it without the council's "
     "consent. "
     "Until it is adopted, the twelfth part of last year's budget may be spent each "
     "month. "
     "The supervisory authority sees it within a month after adoption and may object "
     "where "
     "it breaks the law, not where it is merely unwise. A budget that was objected to "
     "comes back to the council, which has to decide again within six weeks.",
     "The council meets on the first Tuesday of the month, except in August, at 7 p.m. "
     "in "
     "the old school; guests are welcome and may ask questions before the agenda."},
    {"Wie lange muss Brotteig gehen?",
     "Bei Raumtemperatur geht ein Hefeteig ein bis zwei Stunden, bis er sich "
     "verdoppelt "
     "hat; im K\xC3\xBChlschrank \xC3\xBC"
     "ber Nacht. Sauerteig braucht vier bis sechs Stunden.",
     "Das Brot kostet 4,80 \xE2\x82\xAC, die Semmel 45 Cent."},
    {"horaires du train de nuit pour Nice",
     "Le train de nuit part de Paris-Austerlitz \xC3\xA0 20 h 52 et arrive \xC3\xA0 "
     "Nice "
     "\xC3\xA0 9 h 11, tous les jours sauf le samedi.",
     "Caf\xC3\xA9 cr\xC3\xA8me, 3,50 \xE2\x82\xAC ; croissant, 1,20 \xE2\x82\xAC."},
    {"\xC2\xBF"
     "cu\xC3\xA1ndo se plantan los tomates?",
     "Los tomates se siembran en febrero bajo cubierta y se plantan al aire libre en "
     "abril o mayo, cuando ya no hay heladas.",
     "El tomate lleg\xC3\xB3 a Europa en el siglo XVI."},
    {"\xE5\xA6\x82\xE4\xBD\x95\xE7\xA3\xA8\xE9\x9D\xA2\xE7\xB2\x89",
     "\xE5\xB0\x8F\xE9\xBA\xA6\xE6\xB4\x97\xE5\x87\x80\xE6\x99\xBE\xE5\xB9\xB2"
     "\xEF\xBC\x8C\xE5\x9C\xA8\xE4\xB8\xA4\xE5\x9D\x97\xE7\x9F\xB3\xE7\xA3\xA8"
     "\xE4\xB9\x8B\xE9\x97\xB4\xE7\xA3\xA8\xE7\xA2\x8E\xEF\xBC\x8C\xE5\x86\x8D"
     "\xE7\xAD\x9B\xE5\x8E\xBB\xE9\xBA\xB8\xE7\x9A\xAE\xE3\x80\x82",
     "\xE9\x9D\xA2\xE6\x9D\xA1\xE4\xB8\x80\xE7\xA2\x97\xE5\x8D\x81\xE5\x9B\x9B"
     "\xE5\x85\x83\xE3\x80\x82"},
    {"\xD0\xBA\xD0\xBE\xD0\xB3\xD0\xB4\xD0\xB0 \xD0\xBF\xD1\x80\xD0\xB8\xD0\xB4\xD1\x91"
     "\xD1\x82 \xD0\xBF\xD0\xBE\xD0\xB5\xD0\xB7\xD0\xB4",
     "\xD0\x9F\xD0\xBE\xD0\xB5\xD0\xB7\xD0\xB4 \xD0\xB8\xD0\xB7 "
     "\xD0\x9C\xD0\xBE\xD1\x81\xD0\xBA\xD0\xB2\xD1\x8B \xD0\xBF\xD1\x80\xD0\xB8"
     "\xD0\xB1\xD1\x8B\xD0\xB2\xD0\xB0\xD0\xB5\xD1\x82 \xD0\xB2 18:40 \xD0\xBD\xD0\xB0 "
     "\xD1\x82\xD1\x80\xD0\xB5\xD1\x82\xD0\xB8\xD0\xB9 "
     "\xD0\xBF\xD1\x83\xD1\x82\xD1\x8C.",
     "\xD0\x92 \xD0\xB3\xD0\xBE\xD1\x80\xD0\xBE\xD0\xB4\xD0\xB5 "
     "\xD1\x82\xD1\x80\xD0\xB8 "
     "\xD0\xB2\xD0\xBE\xD0\xBA\xD0\xB7\xD0\xB0\xD0\xBB\xD0\xB0."},
    {"2 + 2 * 3 = ?", "8, since products are taken before sums.",
     "id;qty;price\n1001;2;3.50\n1002;1;12.00\n1003;10;0.99"},
    {"best way to learn the violin as an adult",
     "Take lessons, even if only every other week: bad habits of the bow arm are hard "
     "to "
     "lose. Play every day for twenty minutes rather than two hours on Sunday. Begin "
     "with "
     "open strings and slow scales, and sing what you want to play. After a year you "
     "will "
     "play simple duets; find somebody to play them with, for nothing teaches more. A "
     "rented instrument is better than a bought cheap one, and a shoulder rest that "
     "fits "
     "matters more than either. Do not compare yourself with children who began at "
     "five: "
     "you have other gifts, patience among them, and you know what music is for. "
     "Record "
     "yourself once a month; you will hear what you did not notice, and after half a "
     "year "
     "you will hear how far you have come.",
     "Violin, 4/4, spruce and maple, Bohemia about 1920, one repaired crack in the "
     "top, "
     "sounds warm, with case and bow."},
};

qn_slice qn_import__query(size_t i)
{
    return qn_slice_of(samples[i].query);
}

qn_slice qn_import__document(size_t i)
{
    return qn_slice_of(i % 2 == 0 ? samples[i / 2].answer : samples[i / 2].near);
}

#include "sim/effects.h"

namespace cairn::sim {
namespace {

struct Words {
  std::string_view name;
  std::string_view description;
};

// In the order of Effect.
constexpr std::array<Words, kEffects> kWords = {{
    {"unsynced_lost", "power cuts that took what was not synced"},
    {"torn_tails", "torn records found by a start"},
    {"cuts_in_transfer", "processes that ended while a snapshot arrived"},
    {"cuts_in_install", "processes that ended while they installed a snapshot"},
    {"installs_finished", "interrupted installations that a start finished"},
    {"journal_no_room", "refusals of a journal for lack of room"},
    {"engine_no_room", "engines that were full when something was to be applied"},
    {"syncs_failed", "fdatasyncs that failed"},
    {"dead_disk_refusals", "operations that a dead disk refused"},
    {"slow_steps", "steps of a journal thread longer than an election timeout"},
    {"starts_on_slow_disk", "starts on a slow disk"},
    {"dead_disks_replaced", "dead disks replaced by empty ones"},
    {"clocks_forward", "wall clocks that jumped"},
    {"clocks_backward", "wall clocks that jumped to the past"},
    {"orderly_stops", "processes stopped in order while they served"},
    {"kills", "processes killed by kill -9 while they served"},
    {"links_cut_again", "cuts of a flapping link that carried frames in between"},
    {"frames_queued", "frames that waited for others on a narrow link"},
    {"frames_lost", "frames lost"},
    {"frames_cut_off", "frames lost by cut links"},
    {"frames_doubled", "frames that arrived twice"},
    {"frames_reordered", "frames that arrived after a later one"},
    {"frames_late", "frames later than an election timeout"},
    {"leaders_lost", "processes that ended while they led"},
    {"leaders_stopped", "leaders under SIGSTOP"},
    {"stale_leaders", "leaders that did not know that another one led"},
    {"late_reads_refused", "reads refused by one that led no more"},
    {"stale_leaders_asked", "reads put to one that led no more and believed that it did"},
    {"voters_lost", "power cuts at nodes that had just given a vote"},
    {"lease_reads", "read barriers answered by a lease"},
    {"lease_reads_at_bound", "of them with clocks at the bound of their drift"},
    {"transfers_done", "transfers of leadership that came about"},
    {"changes_done", "changes of members that came to their end"},
    {"changes_outlived", "of them under another leader than they began under"},
    {"members_gained", "nodes that were no members and became voters"},
    {"members_gone", "members that were removed for good"},
    {"forwarders_lost",
     "processes that ended while they waited for the answer to a forwarded write"},
    {"forwards_repeated", "forwarded writes that were put to a second leadership"},
    {"bare_forwards", "writes without a session that had to be forwarded"},
    {"bare_writes_unknown", "writes without a session whose fate stayed unknown"},
    {"retries_answered", "commands sent again that got their first answer"},
}};
static_assert(!kWords.back().name.empty(), "an effect has no name");

}  // namespace

std::string_view NameOf(Effect effect) { return kWords[static_cast<std::size_t>(effect)].name; }

std::string_view DescriptionOf(Effect effect) {
  return kWords[static_cast<std::size_t>(effect)].description;
}

void Effects::Add(const Effects& other) {
  for (std::size_t i = 0; i < kEffects; ++i) counts_[i] += other.counts_[i];
}

}  // namespace cairn::sim

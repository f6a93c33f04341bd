// What the world tells of itself while it runs, for those who listen.
#include <utility>

#include "sim/describe.h"
#include "sim/world.h"

namespace cairn::sim {

void World::SetUpStory() {
  if (!options_.story) return;
  invariants_.SetTrace([this](StoryLine::Kind kind, NodeId id, const std::string& text) {
    Tell(kind, static_cast<int>(id.value()), text);
  });
  invariants_.SetMessageTrace([this](NodeId from, NodeId to, const std::string& body) {
    StoryLine line;
    line.kind = StoryLine::Kind::kMessage;
    line.at = scheduler_.now();
    line.from = static_cast<int>(from.value());
    line.to = static_cast<int>(to.value());
    line.text = DescribeMessage(body);
    std::string gist = GistOf(line.text);
    std::string kind = gist.substr(0, gist.find(' ')) + (gist.ends_with("[]") ? "[]" : "");
    std::string& last = last_messages_[{line.from, line.to, std::move(kind)}];
    line.routine = gist == last;
    last = std::move(gist);
    options_.story(line);
  });
}

void World::Tell(StoryLine::Kind kind, int node, const std::string& text) {
  if (!options_.story) return;
  StoryLine line;
  line.kind = kind;
  line.at = scheduler_.now();
  line.to = node;
  line.text = text;
  options_.story(line);
}

void World::TellCall(StoryLine::Kind kind, int client, NodeId node, const std::string& text) {
  StoryLine line;
  line.kind = kind;
  line.at = scheduler_.now();
  line.client = client;
  (kind == StoryLine::Kind::kCall ? line.to : line.from) = static_cast<int>(node.value());
  line.text = text;
  options_.story(line);
}

}  // namespace cairn::sim

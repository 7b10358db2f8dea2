#include "host/src/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "cumarl/error.hpp"
#include "host/src/charts.hpp"
#include "host/src/doctor.hpp"
#include "host/src/plot.hpp"

namespace cumarl {
namespace {

using charts::escape;
using charts::grouped;
using charts::kInterval;
using charts::kNone;
using charts::number;
using charts::Panel;
using charts::Svg;

// ---- the page around the results ----

constexpr const char* kStyle = R"(
:root { color-scheme: light dark;
  --ground: #ffffff; --card: #ffffff; --ink: #1f2933; --faint: #5c6875; --grid: #e4e7eb;
  --edge: #d5dae0; --ours: #2b6cb0; --rival: #2f855a; --published: #c05621; --fill: #90b4d8;
  --good: #22704a; --bad: #b3261e; --note: #fff6e0; --noteedge: #d9a400;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #b8578f; --s4: #9a6d00; --s5: #3d9bd1; }
@media screen and (prefers-color-scheme: dark) { :root {
  --ground: #14181d; --card: #1b2027; --ink: #e6eaee; --faint: #9aa6b2; --grid: #2b323b;
  --edge: #363f49; --ours: #6fb1f0; --rival: #6fcf9a; --published: #f0935a; --fill: #35618f;
  --good: #6fcf9a; --bad: #ff8a80; --note: #2c2610; --noteedge: #a88400;
  --s0: #56b4e9; --s1: #f0823c; --s2: #2fc79b; --s3: #e08fc0; --s4: #e0b030; --s5: #9ad0f5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 30px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 38px 0 12px; padding-top: 12px; border-top: 1px solid var(--edge); }
h3 { font-size: 15.5px; margin: 22px 0 6px; overflow-wrap: anywhere; }
p { margin: 6px 0 10px; max-width: 80ch; }
a { color: var(--ours); }
nav { margin: 16px 0 0; }
nav a { margin-right: 16px; white-space: nowrap; }
.faint { color: var(--faint); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 12px 20px;
  margin: 18px 0 0; }
.facts dt { color: var(--faint); font-size: 12.5px; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.facts .wide { grid-column: span 2; }
code, .hash { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 0.88em; }
.tiles { margin-bottom: 14px; display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 12px; }
.tile { border: 1px solid var(--edge); border-radius: 8px; padding: 10px 14px;
  background: var(--card); }
.tile b { display: block; font-size: 25px; font-weight: 600; line-height: 1.25; }
.tile span { color: var(--faint); font-size: 12.5px; overflow-wrap: anywhere; }
.note { background: var(--note); border-left: 4px solid var(--noteedge); padding: 8px 14px;
  margin: 10px 0; border-radius: 0 6px 6px 0; max-width: 100ch; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--faint); font-weight: 600; vertical-align: bottom; }
th, td { padding: 3px 14px 3px 0; border-bottom: 1px solid var(--grid); }
td.n, th.n { text-align: right; white-space: nowrap; }
tr.section td { font-weight: 600; padding-top: 14px; }
tr.default td { color: var(--faint); }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 470px), 1fr));
  gap: 14px 24px; align-items: start; }
figure { margin: 8px 0; position: relative; break-inside: avoid; min-width: 0; }
figure > svg { max-width: 100%; height: auto; display: block; }
figcaption { color: var(--faint); font-size: 12.5px; max-width: 90ch; }
.row { display: flex; flex-wrap: wrap; gap: 14px 34px; align-items: flex-start; }
.white > svg { background: #ffffff; border-radius: 8px; }
.menu { margin: 4px 0 8px; }
select, button { font: inherit; font-size: 13.5px; color: var(--ink); background: var(--card);
  border: 1px solid var(--edge); border-radius: 6px; padding: 3px 8px; max-width: 100%; }
button.save { position: absolute; right: 0; top: 0; font-size: 11px; padding: 1px 7px; opacity: 0; }
figure:hover button.save, button.save:focus-visible { opacity: 0.85; }
#tip { position: fixed; pointer-events: none; z-index: 2; background: var(--ink);
  color: var(--ground); padding: 3px 8px; border-radius: 5px; font-size: 12.5px; max-width: 60ch; }
.beside { display: flex; flex-wrap: wrap; gap: 14px 24px; align-items: flex-start; }
.beside > .choice { flex: 0 1 auto; min-width: 0; }
.beside > .chosen { flex: 1 1 280px; min-width: 0; max-width: 520px; }
.chosen table { font-size: 12.5px; }
.chosen { border: 1px solid var(--edge); border-radius: 8px; padding: 6px 14px 12px;
  margin: 10px 0; }
[data-panel] > svg { cursor: crosshair; }
footer { color: var(--faint); font-size: 12.5px; margin-top: 40px; padding-bottom: 30px; }
@media print { nav, .menu, button, #tip { display: none; } body { font-size: 10.5pt; }
  main, header, footer { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } tr, .tile { break-inside: avoid; } .scroll { overflow: visible; } }
)";

/// Menus of measures, tips, chosen cells and the button that saves a figure. All of it is an
/// addition to a page that is complete without.
constexpr const char* kScript = R"(
(() => {
  'use strict';
  const make = (tag, parent, text) => {
    const e = document.createElement(tag);
    if (text !== undefined) e.textContent = text;
    if (parent) parent.append(e);
    return e;
  };
  for (const group of document.querySelectorAll('.choice')) {
    const options = [...group.children].filter(e => e.dataset.name);
    if (options.length < 2) continue;
    const menu = make('label', null, 'Measure: ');
    menu.className = 'menu';
    const select = make('select', menu);
    options.forEach((o, i) => { make('option', select, o.dataset.name).value = i; });
    const show = () => options.forEach((o, i) => { o.hidden = i != select.value; });
    select.addEventListener('change', show);
    group.prepend(menu);
    show();
  }
  const brief = v => v === null || v === undefined ? '\u2013' : String(+v.toPrecision(4));
  const tip = make('div', document.body);
  tip.id = 'tip';
  tip.hidden = true;
  const text = document.getElementById('cells');
  const data = text ? JSON.parse(text.textContent) : null;
  if (data) {
    const cells = new Map(data.at.map((place, i) => [place.join(), i]));
    const setting = place => data.axes.map((a, k) => a.key + ' = ' + a.values[place[k]]).join(', ');
    const find = (figure, event) => {
      const svg = figure.querySelector('svg'), box = svg.getBoundingClientRect();
      const p = JSON.parse(figure.dataset.panel), wide = svg.viewBox.baseVal.width;
      const x = (event.clientX - box.left) * wide / box.width - p.left;
      const y = (event.clientY - box.top) * wide / box.width - p.top;
      const c = Math.floor(x / p.width * p.columns), r = Math.floor(y / p.height * p.rows);
      if (c < 0 || r < 0 || c >= p.columns || r >= p.rows) return null;
      const place = p.fixed.slice();
      place[p.x] = c;
      place[p.y] = p.down ? r : p.rows - 1 - r;
      const i = cells.get(place.join());
      return i === undefined ? null : { i, place };
    };
    for (const figure of document.querySelectorAll('[data-panel]')) {
      const measure = data.measures[JSON.parse(figure.dataset.panel).measure];
      figure.addEventListener('mousemove', event => {
        const hit = find(figure, event);
        tip.hidden = !hit || !measure;
        if (tip.hidden) return;
        tip.textContent = setting(hit.place) + ': ' + brief(measure.mean[hit.i]) +
          (measure.se[hit.i] === null ? '' : ' (s.e. ' + brief(measure.se[hit.i]) + ')');
        tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + 'px';
        tip.style.top = event.clientY + 16 + 'px';
      });
      figure.addEventListener('mouseleave', () => { tip.hidden = true; });
      figure.addEventListener('click', event => {
        const hit = find(figure, event);
        if (!hit) return;
        const panel = document.getElementById('chosen');
        panel.hidden = false;
        panel.replaceChildren();
        make('h3', panel, setting(hit.place));
        const table = make('table', panel), head = make('tr', make('thead', table));
        for (const word of ['measure', 'mean', 's.e.']) make('th', head, word);
        const body = make('tbody', table);
        for (const one of data.measures) {
          const row = make('tr', body);
          make('td', row, one.name);
          make('td', row, brief(one.mean[hit.i])).className = 'n';
          make('td', row, brief(one.se[hit.i])).className = 'n';
        }
      });
      for (const e of figure.querySelectorAll('rect > title')) e.remove();
    }
  }
  const kept = ['fill', 'stroke', 'font-family', 'font-size'];
  for (const figure of document.querySelectorAll('figure')) {
    const svg = figure.querySelector(':scope > svg');
    if (!svg) continue;
    const button = make('button', figure, 'save SVG');
    button.className = 'save';
    button.addEventListener('click', event => {
      event.stopPropagation();
      const copy = svg.cloneNode(true);
      const from = svg.querySelectorAll('*'), to = copy.querySelectorAll('*');
      from.forEach((e, i) => {
        const style = getComputedStyle(e);
        for (const key of kept) {
          if (e.hasAttribute(key)) to[i].setAttribute(key, style.getPropertyValue(key));
        }
      });
      copy.style.background = getComputedStyle(document.body).backgroundColor;
      const link = make('a');
      link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)],
                                               { type: 'image/svg+xml' }));
      const title = svg.querySelector('title');
      link.download = (title ? title.textContent : 'figure').replace(/[^\w.-]+/g, '-') + '.svg';
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }
})();
)";

/// A text as a JSON string that may stand inside of a script element.
std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || c == '<' || c == '>' || c == '&') {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string json_number(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "null";
}

/// "75.3%"
std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "–";
  return fmt::format("{:.4g}%", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

std::string duration(double seconds) {
  if (!(seconds > 0)) return "–";
  if (seconds < 120) return number(seconds) + " s";
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 7200) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

std::string plural(uint64_t count, const std::string& word) {
  return grouped(count) + ' ' + word + (count == 1 ? "" : "s");
}

std::string figure(const std::string& svg, const std::string& caption = {},
                   const std::string& attributes = {}) {
  return fmt::format("<figure{}>\n{}{}</figure>\n", attributes, svg,
                     caption.empty() ? "" : "<figcaption>" + escape(caption) + "</figcaption>\n");
}

// ---- measures ----

/// "profit_gain_agent1" -> "profit_gain" and 1; -1 where the name is not of one agent.
std::pair<std::string, int> split_agent(const std::string& name) {
  const size_t at = name.rfind("_agent");
  if (at == std::string::npos || at + 6 == name.size()) return {name, -1};
  int agent = 0;
  const auto [end, error] = std::from_chars(name.data() + at + 6, name.data() + name.size(), agent);
  if (error != std::errc{} || end != name.data() + name.size()) return {name, -1};
  return {name.substr(0, at), agent};
}

/// What readers look at first stands first.
size_t rank_of(const std::string& name) {
  static constexpr std::array kFirst = {"profit_gain",   "return_per_step", "episode_return",
                                        "mean_profit",   "mean_price",      "market_price",
                                        "mean_quantity", "nash_conv"};
  const auto at = std::find(kFirst.begin(), kFirst.end(), name);
  if (at != kFirst.end()) return static_cast<size_t>(at - kFirst.begin());
  return name == "time_to_convergence" ? kFirst.size() + 1 : kFirst.size();
}

/// All agents' metrics of one name.
struct MetricGroup {
  std::string base;
  bool overall = false;     ///< there is one of all agents together
  std::vector<int> agents;  ///< ascending

  std::vector<std::string> names() const {
    std::vector<std::string> out;
    if (overall) out.push_back(base);
    for (const int agent : agents) out.push_back(base + "_agent" + std::to_string(agent));
    return out;
  }
};

std::vector<MetricGroup> metric_groups(const Result& result) {
  std::map<std::string, MetricGroup> by_base;
  for (const CellResult& cell : result.cells) {
    for (const auto& [name, unused] : cell.metrics) {
      const auto [base, agent] = split_agent(name);
      MetricGroup& group = by_base[base];
      group.base = base;
      if (agent < 0) {
        group.overall = true;
      } else if (std::find(group.agents.begin(), group.agents.end(), agent) == group.agents.end()) {
        group.agents.push_back(agent);
      }
    }
  }
  std::vector<MetricGroup> groups;
  for (auto& [base, group] : by_base) {
    std::sort(group.agents.begin(), group.agents.end());
    groups.push_back(std::move(group));
  }
  std::stable_sort(groups.begin(), groups.end(), [](const MetricGroup& a, const MetricGroup& b) {
    return rank_of(a.base) < rank_of(b.base);
  });
  return groups;
}

/// A number for every cell: a metric's mean, or the share of runs with a label.
struct Measure {
  std::string name;
  std::vector<double> mean, se;       ///< [cells]
  std::vector<double> q05, q50, q95;  ///< [cells], or empty
};

/// Labels by what they mean: numbers in their order, others as words.
bool label_before(const std::string& a, const std::string& b) {
  const auto whole = [](const std::string& text) {
    return !text.empty() && text.size() < 16 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (whole(a) && whole(b)) return std::stoull(a) < std::stoull(b);
  return a < b;
}

uint64_t counted(const CellResult& cell) { return cell.runs - cell.diverged.size(); }

double share_se(double share, uint64_t runs) {
  return runs > 0 ? std::sqrt(share * (1 - share) / static_cast<double>(runs)) : 0.0;
}

Measure metric_measure(const Result& result, const std::string& name) {
  Measure m;
  m.name = name;
  for (const CellResult& cell : result.cells) {
    const auto at = cell.metrics.find(name);
    const bool any = at != cell.metrics.end() && at->second.n > 0;
    m.mean.push_back(any ? at->second.mean : kNone);
    m.se.push_back(any ? at->second.se : kNone);
    m.q05.push_back(any ? at->second.q05 : kNone);
    m.q50.push_back(any ? at->second.q50 : kNone);
    m.q95.push_back(any ? at->second.q95 : kNone);
  }
  return m;
}

Measure share_measure(const Result& result, const std::string& name, const std::string& label) {
  Measure m;
  m.name = fmt::format("share of {} = {}", name, label);
  for (const CellResult& cell : result.cells) {
    const auto shares = cell.shares.find(name);
    const uint64_t runs = counted(cell);
    double share = kNone;
    if (shares != cell.shares.end() && runs > 0) {
      const auto at = shares->second.find(label);
      share = at == shares->second.end() ? 0.0 : at->second;
    }
    m.mean.push_back(share);
    m.se.push_back(std::isnan(share) ? kNone : share_se(share, runs));
  }
  return m;
}

/// The labels of a share over all cells, the most frequent first, at most `most`.
std::vector<std::string> frequent_labels(const Result& result, const std::string& name,
                                         size_t most) {
  std::map<std::string, double> total;
  for (const CellResult& cell : result.cells) {
    const auto at = cell.shares.find(name);
    if (at == cell.shares.end()) continue;
    for (const auto& [label, share] : at->second) total[label] += share;
  }
  std::vector<std::string> labels;
  for (const auto& [label, unused] : total) labels.push_back(label);
  std::stable_sort(labels.begin(), labels.end(),
                   [&](const std::string& a, const std::string& b) { return total[a] > total[b]; });
  if (labels.size() > most) labels.resize(most);
  std::sort(labels.begin(), labels.end(), label_before);
  return labels;
}

std::set<std::string> share_names(const Result& result) {
  std::set<std::string> names;
  for (const CellResult& cell : result.cells) {
    for (const auto& [name, unused] : cell.shares) names.insert(name);
  }
  return names;
}

/// Everything that can be drawn over a sweep: metrics of all agents together, shares, the share of
/// runs that converged, and single agents' metrics.
std::vector<Measure> all_measures(const Result& result) {
  constexpr size_t kMostLabels = 4;
  std::vector<Measure> measures, of_agents;
  std::set<std::string> metrics;
  for (const MetricGroup& group : metric_groups(result)) {
    for (const std::string& name : group.names()) {
      metrics.insert(name);
      (name == group.base ? measures : of_agents).push_back(metric_measure(result, name));
    }
  }
  for (const std::string& name : share_names(result)) {
    if (metrics.contains(name)) continue;  // the metric is its mean
    const auto labels = frequent_labels(result, name, kMostLabels);
    const bool yes_no = std::all_of(labels.begin(), labels.end(), [](const std::string& label) {
      return label == "true" || label == "false";
    });
    for (const std::string& label : labels) {
      if (yes_no && label == "false" && labels.size() == 2) continue;
      measures.push_back(share_measure(result, name, label));
    }
  }
  Measure converged;
  converged.name = "share of runs that converged";
  for (const CellResult& cell : result.cells) {
    const double share = cell.runs > 0
                             ? static_cast<double>(cell.converged) / static_cast<double>(cell.runs)
                             : kNone;
    converged.mean.push_back(share);
    converged.se.push_back(cell.runs > 0 ? share_se(share, cell.runs) : kNone);
  }
  if (result.converged > 0) measures.push_back(std::move(converged));
  std::move(of_agents.begin(), of_agents.end(), std::back_inserter(measures));
  return measures;
}

/// Lines that have a meaning for a measure: of the profit gain, and of prices where they are known.
std::vector<charts::Mark> marks_of(const std::string& name, const ReportExtras& extras) {
  const std::string base = split_agent(name).first;
  if (base == "profit_gain") return {{0, "static Nash"}, {1, "monopoly"}};
  std::vector<charts::Mark> marks;
  if (base == "mean_price") {
    for (const PriceReference& one : extras.prices) marks.push_back({one.price, one.words});
  }
  return marks;
}

// ---- header, notes, published figures ----

std::string facts(const Result& result, const ReportExtras& extras) {
  std::string out = "<dl class=\"facts\">\n";
  const auto add = [&out](const char* name, const std::string& value, const char* kind = "") {
    out += fmt::format("<div{}><dt>{}</dt><dd>{}</dd></div>\n", kind, name, value);
  };
  uint64_t diverged = 0;
  for (const CellResult& cell : result.cells) diverged += cell.diverged.size();
  add("Runs", result.cells.size() > 1 ? fmt::format("{} in {}", grouped(result.runs),
                                                    plural(result.cells.size(), "cell"))
                                      : grouped(result.runs));
  add("Converged",
      fmt::format("{} ({})", grouped(result.converged), percent(result.converged, result.runs)));
  if (diverged > 0) {
    add("Diverged", fmt::format("{} ({})", grouped(diverged), percent(diverged, result.runs)));
  }
  add("Joint steps", grouped(result.joint_steps));
  add("Time", duration(result.seconds));
  if (result.seconds > 0) {
    const double rate = static_cast<double>(result.joint_steps) / result.seconds;
    const auto text = charts::tick_texts(
        {rate >= 1e4 ? std::stod(fmt::format("{:.3g}", rate)) : std::round(rate)});
    add("Joint steps a second", escape(text.texts[0] + text.scale));
  }
  add("Device", escape(result.device));
  if (!extras.version.empty()) add("Version", "cuMARL " + escape(extras.version));
  add("Result hash", "<span class=\"hash\">" + escape(result.result_hash) + "</span>",
      " class=\"wide\"");
  return out + "</dl>\n";
}

std::string notes(const Result& result, const ReportExtras& extras) {
  constexpr size_t kNamed = 8;
  std::string out;
  const auto add = [&out](const std::string& words) {
    out += "<p class=\"note\">" + escape(words) + "</p>\n";
  };
  if (result.interrupted) {
    add("The experiment was interrupted: only runs that had ended are in it.");
  }
  uint64_t diverged = 0, empty = 0;
  std::string named;
  size_t count = 0;
  for (const CellResult& cell : result.cells) {
    diverged += cell.diverged.size();
    empty += counted(cell) == 0 ? 1 : 0;
    for (const Divergence& one : cell.diverged) {
      if (++count > kNamed) break;
      named += fmt::format("{}run {} (agent {}, after step {})", named.empty() ? "" : ", ", one.run,
                           one.agent, grouped(one.step));
    }
  }
  if (diverged > 0) {
    add(
        fmt::format("{} of {} diverged: an agent's weights were no numbers any more. They were "
                    "stopped and are in no mean; smaller step sizes help. {}: {}.",
                    grouped(diverged), plural(result.runs, "run"),
                    diverged > kNamed ? "The first ones" : "These are", named));
  }
  if (result.cells.size() == 1 && counted(result.cells[0]) == 0) {
    add("No run has measures, so there is nothing to draw.");
  } else if (empty > 0) {
    add(fmt::format("{} of {} have no run with measures and are left empty in the pictures.",
                    grouped(empty), plural(result.cells.size(), "cell")));
  }
  for (const std::string& one : extras.notes) add(one);
  return out;
}

/// The distance of ours from the published figure, in tolerances, on a small scale.
std::string distance_mark(const ReproduceRow& row) {
  const double off = row.ours - row.published;
  if (!std::isfinite(off) || !std::isfinite(row.tolerance)) return "";
  const double distance = off == 0            ? 0
                          : row.tolerance > 0 ? off / row.tolerance
                                              : 3 * off / std::fabs(off);
  const auto x = [](double v) { return 60 + 28 * std::clamp(v, -2.0, 2.0); };
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"120\" height=\"16\" viewBox=\"0 0 120 "
      "16\" "
      "role=\"img\"><title>{:.2f} tolerances from the published figure</title>"
      "<rect x=\"{:.1f}\" y=\"2\" width=\"56\" height=\"12\" fill=\"var(--grid)\"/>"
      "<line x1=\"60\" y1=\"1\" x2=\"60\" y2=\"15\" stroke=\"var(--faint)\"/>"
      "<circle cx=\"{:.1f}\" cy=\"8\" r=\"4\" fill=\"{}\"/></svg>",
      distance, x(-1), x(distance), row.ok ? "var(--good)" : "var(--bad)");
}

std::string published_section(const ReportExtras& extras) {
  if (extras.rows.empty()) return "";
  const auto within = std::count_if(extras.rows.begin(), extras.rows.end(),
                                    [](const ReproduceRow& row) { return row.ok; });
  std::string out = fmt::format(
      "<section>\n<h2 id=\"published\">Published figures</h2>\n<p>{}{}{} of {} figures are within "
      "their tolerance (the grey band at the right).</p>\n<div "
      "class=\"scroll\"><table>\n<thead><tr>"
      "<th>figure</th><th class=\"n\">published</th><th class=\"n\">ours</th><th class=\"n\">s.e."
      "</th><th class=\"n\">runs</th><th class=\"n\">tolerance</th><th></th><th>distance</th></tr>"
      "</thead>\n<tbody>\n",
      extras.source.empty() ? "" : "Source: " + escape(extras.source),
      extras.source.empty() ? "" : ". ", within, extras.rows.size());
  for (const ReproduceRow& row : extras.rows) {
    const bool known = std::isfinite(row.ours) && std::isfinite(row.tolerance);
    out += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>\n",
        escape(row.what), number(row.published), number(row.ours), number(row.se, 3),
        grouped(row.n), std::isfinite(row.tolerance) ? number(row.tolerance, 3) : "–",
        !known   ? "<span class=\"faint\">too few runs</span>"
        : row.ok ? "<span class=\"good\">✓ within</span>"
                 : "<span class=\"bad\">✗ outside</span>",
        distance_mark(row));
  }
  return out + "</tbody></table></div>\n</section>\n";
}

// ---- one cell ----

/// The mean of a metric in published rows, or no number.
double published_mean(const ReportExtras& extras, const std::string& name) {
  for (const ReproduceRow& row : extras.rows) {
    if (row.figure.kind == PublishedFigure::Kind::mean && row.figure.name == name) {
      return row.published;
    }
  }
  return kNone;
}

std::string tiles(const CellResult& cell, const std::vector<MetricGroup>& groups,
                  const ReportExtras& extras) {
  constexpr size_t kMost = 5;
  std::string out = "<div class=\"tiles\">\n";
  size_t shown = 0;
  for (const MetricGroup& group : groups) {
    const auto at = cell.metrics.find(group.base);
    if (at == cell.metrics.end() || at->second.n == 0 || shown == kMost) continue;
    const Statistic& one = at->second;
    std::string below =
        one.n > 1 ? fmt::format("± {} (95%)", number(kInterval * one.se, 2)) : "one run";
    const double published = published_mean(extras, group.base);
    if (std::isfinite(published)) below += "; published " + number(published);
    out += fmt::format("<div class=\"tile\"><span>{}</span><b>{}</b><span>{}</span></div>\n",
                       escape(group.base), number(one.mean), below);
    ++shown;
  }
  return shown > 0 ? out + "</div>\n" : "";
}

std::string metrics_table(const CellResult& cell, const std::vector<MetricGroup>& groups) {
  std::string out =
      "<div class=\"scroll\"><table>\n<thead><tr><th>metric</th><th class=\"n\">runs</th><th "
      "class=\"n\">mean</th><th class=\"n\">s.e.</th><th class=\"n\">s.d.</th><th "
      "class=\"n\">least</th><th class=\"n\">5%</th><th class=\"n\">25%</th><th "
      "class=\"n\">50%</th><th class=\"n\">75%</th><th class=\"n\">95%</th><th "
      "class=\"n\">greatest</th></tr></thead>\n<tbody>\n";
  for (const MetricGroup& group : groups) {
    for (const std::string& name : group.names()) {
      const auto at = cell.metrics.find(name);
      if (at == cell.metrics.end()) continue;
      const Statistic& s = at->second;
      out += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td>", escape(name), grouped(s.n));
      const double spread = s.n > 1 ? 1 : kNone;  // of one run there is none
      const double values[] = {s.mean, spread * s.se, spread * s.sd, s.min, s.q05,
                               s.q25,  s.q50,         s.q75,         s.q95, s.max};
      for (const double& v : values) {
        const int digits = &v == &values[1] ? 3 : 4;
        out += "<td class=\"n\">" + (s.n > 0 ? number(v, digits) : "–") + "</td>";
      }
      out += "</tr>\n";
    }
  }
  return out + "</tbody></table></div>\n";
}

/// The share of values at or below, as a line of at most 200 points.
charts::Series distribution(const std::string& name, const std::vector<double>& sorted) {
  constexpr size_t kPoints = 200;
  charts::Series series;
  series.name = name;
  const size_t n = sorted.size();
  if (n == 0) return series;
  series.x.push_back(sorted[0]);
  series.y.push_back(0);
  const size_t points = std::min(n, kPoints);
  for (size_t k = 1; k <= points; ++k) {
    const size_t at = k * n / points - 1;
    series.x.push_back(sorted[at]);
    series.y.push_back(100.0 * static_cast<double>(at + 1) / static_cast<double>(n));
  }
  return series;
}

charts::LineChart distribution_chart(const std::string& label) {
  charts::LineChart chart;
  chart.x_label = label;
  chart.y_label = "runs at or below, %";
  chart.dots = false;
  chart.steps = true;
  chart.low_y = 0;
  chart.high_y = 102;
  return chart;
}

std::string draw(const charts::LineChart& chart, const std::string& title, double width = 480,
                 double height = 230) {
  const Panel frame{62, 0, width - 62 - 12, height};
  const int rows = charts::legend_rows(chart, frame.width);
  const double top = 30 + 16.0 * rows;
  const double depth =
      chart.x_names.empty()
          ? 0
          : charts::names_depth(chart.x_names,
                                frame.width / static_cast<double>(chart.x_names.size()));
  Svg svg(width, top + height + 46 + depth, title, charts::kPage);
  Panel panel{62, top, frame.width, height};
  svg.text({panel.left, 16}, title, {.size = 13.5, .bold = true});
  draw_lines(svg, panel, chart);
  return svg.finish();
}

std::string histogram_figure(const CellResult& cell, const MetricGroup& group,
                             const std::string& name, const std::vector<double>& sorted,
                             const ReportExtras& extras) {
  charts::Histogram histogram;
  histogram.bins = charts::bin(sorted);
  const auto statistic = cell.metrics.find(name);
  if (statistic != cell.metrics.end()) {
    histogram.mean = statistic->second.mean;
    histogram.se = statistic->second.se;
  }
  histogram.published = published_mean(extras, name);
  histogram.marks = marks_of(name, extras);
  if (group.base == "profit_gain") {
    histogram.low = 0;
    histogram.high = 1;
  }
  histogram.x_label = name;
  histogram.y_label = "share of runs, %";
  const std::string title = name + " over runs";
  Svg svg(480, 322, title, charts::kPage);
  Panel panel{62, 46, 406, 230};
  svg.text({panel.left, 16}, title, {.size = 13.5, .bold = true});
  draw_histogram(svg, panel, histogram);
  return figure(svg.finish());
}

std::string distributions_section(const CellResult& cell, const std::vector<MetricGroup>& groups,
                                  const ReportExtras& extras) {
  if (counted(cell) == 1) return "";
  constexpr size_t kFew = 8;  // of fewer runs a histogram says nothing
  std::string figures, constant;
  for (const MetricGroup& group : groups) {
    if (cell.shares.contains(group.base)) continue;  // a yes or no: its bars say all
    std::vector<std::pair<std::string, std::vector<double>>> samples;
    for (const std::string& name : group.names()) {
      std::vector<double> sorted = sorted_values(cell, name);
      if (!sorted.empty()) samples.emplace_back(name, std::move(sorted));
    }
    if (samples.empty()) continue;
    const std::vector<double>& first = samples[0].second;
    const bool all_alike = std::all_of(samples.begin(), samples.end(), [](const auto& one) {
      return one.second.front() == one.second.back();
    });
    if (all_alike) {
      for (const auto& [name, sorted] : samples) {
        constant += fmt::format("{}<b>{}</b>: {}", constant.empty() ? "" : ", ", escape(name),
                                number(sorted[0]));
      }
      continue;
    }
    if (first.size() >= kFew)
      figures += histogram_figure(cell, group, samples[0].first, first, extras);
    charts::LineChart chart = distribution_chart(group.base);
    for (const auto& [name, sorted] : samples) {
      if (chart.series.size() == charts::Theme::kSeries) break;
      const int agent = split_agent(name).second;
      chart.series.push_back(distribution(samples.size() == 1 ? ""
                                          : agent < 0         ? "all"
                                                              : "agent " + std::to_string(agent),
                                          sorted));
    }
    figures += figure(draw(chart, "Distribution of " + group.base));
  }
  if (figures.empty() && constant.empty()) return "";
  std::string out =
      "<section>\n<h2 id=\"distributions\">Distributions over runs</h2>\n<div "
      "class=\"figures\">\n" +
      figures + "</div>\n";
  if (!constant.empty()) {
    out += "<p>The same in every run: " + constant + ".</p>\n";
  }
  return out + "</section>\n";
}

std::string share_figure(const CellResult& cell, const std::string& name,
                         const std::map<std::string, double>& shares, const ReportExtras& extras) {
  constexpr size_t kMost = 10;
  std::vector<std::pair<std::string, double>> labels(shares.begin(), shares.end());
  std::stable_sort(labels.begin(), labels.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  double rest = 0;
  const bool cut = labels.size() > kMost;
  if (cut) {
    for (size_t k = kMost - 1; k < labels.size(); ++k) rest += labels[k].second;
    labels.resize(kMost - 1);
  }
  std::sort(labels.begin(), labels.end(),
            [](const auto& a, const auto& b) { return label_before(a.first, b.first); });
  std::vector<charts::Bar> bars;
  for (const auto& [label, share] : labels) {
    charts::Bar bar;
    bar.label = {label};
    bar.ours = share;
    bar.se = share_se(share, counted(cell));
    for (const ReproduceRow& row : extras.rows) {
      const PublishedFigure& f = row.figure;
      if (f.kind == PublishedFigure::Kind::share && f.name == name && f.label == label &&
          f.given.empty()) {
        bar.published = f.value;
      }
    }
    bars.push_back(std::move(bar));
  }
  if (cut) {
    charts::Bar bar;
    bar.label = {"others"};
    bar.ours = rest;
    bar.se = share_se(std::min(rest, 1.0), counted(cell));
    bars.push_back(std::move(bar));
  }
  Svg svg(480, 322, "Shares of " + name, charts::kPage);
  Panel panel{62, 52, 406, 224};
  svg.text({panel.left, 16}, name, {.size = 13.5, .bold = true});
  draw_bars(svg, panel, bars, "share of runs, %");
  svg.text({panel.left + panel.width / 2, panel.bottom() + 36}, name,
           {.anchor = "middle", .color = svg.theme().faint});
  return figure(svg.finish());
}

std::string shares_section(const CellResult& cell, const ReportExtras& extras) {
  if (cell.shares.empty() || counted(cell) == 0) return "";
  std::string out = "<section>\n<h2 id=\"shares\">Shares of runs</h2>\n<div class=\"figures\">\n";
  for (const auto& [name, shares] : cell.shares) out += share_figure(cell, name, shares, extras);
  return out + "</div>\n</section>\n";
}

/// Names of curves that belong into one picture, by what they are without "_agentN".
std::map<std::string, std::vector<std::string>> curve_groups(const Result& result) {
  std::map<std::string, std::vector<std::string>> groups;
  for (const CellResult& cell : result.cells) {
    for (const auto& [name, unused] : cell.curves) {
      std::vector<std::string>& group = groups[split_agent(name).first];
      if (std::find(group.begin(), group.end(), name) == group.end()) group.push_back(name);
    }
  }
  return groups;
}

std::string impulse_figure(const CellResult& cell, Deviation deviation,
                           const ReportExtras& extras) {
  Svg svg(480, 340, "Prices after a deviation", charts::kPage);
  Panel panel{62, 62, 406, 230};
  std::vector<charts::Mark> marks;
  for (const PriceReference& one : extras.prices) marks.push_back({one.price, one.words});
  draw_impulse(svg, panel, cell, deviation, extras.rows, marks);
  return figure(svg.finish());
}

std::string curves_section(const CellResult& cell, const Result& result,
                           const ReportExtras& extras) {
  if (cell.curves.empty() || counted(cell) == 0) return "";
  std::string figures;
  std::set<std::string> drawn;
  for (const Deviation deviation : {Deviation::best_response, Deviation::as_published}) {
    if (!has_impulse(cell, deviation)) continue;
    figures += impulse_figure(cell, deviation, extras);
    const std::string suffix = deviation == Deviation::as_published ? "_as_published" : "";
    drawn.insert({"price_deviator" + suffix, "price_rival" + suffix});
  }
  for (const auto& [base, names] : curve_groups(result)) {
    if (drawn.contains(base)) continue;
    charts::LineChart chart;
    chart.x_label = "point";
    chart.y_label = base;
    for (const std::string& name : names) {
      const auto at = cell.curves.find(name);
      if (at == cell.curves.end() || chart.series.size() == charts::Theme::kSeries) continue;
      const int agent = split_agent(name).second;
      chart.series.push_back(curve_series(names.size() == 1 ? ""
                                          : agent < 0       ? "all"
                                                            : "agent " + std::to_string(agent),
                                          at->second));
    }
    figures += figure(draw(chart, base));
  }
  return "<section>\n<h2 id=\"curves\">Curves</h2>\n<p>Means over runs, with 95% bands of the "
         "mean.</p>\n<div class=\"figures\">\n" +
         figures + "</div>\n</section>\n";
}

// ---- sweeps ----

std::string unquoted(const std::string& toml) {
  if (toml.size() < 2 || toml.front() != '"' || toml.back() != '"') return toml;
  std::string text;
  for (size_t k = 1; k + 1 < toml.size(); ++k) {
    if (toml[k] == '\\' && k + 2 < toml.size() && (toml[k + 1] == '"' || toml[k + 1] == '\\')) ++k;
    text += toml[k];
  }
  return text;
}

/// A TOML number, or no number.
double number_of(const std::string& toml) {
  std::string digits;
  for (const char c : toml) {
    if (c != '_') digits += c;
  }
  double value = 0;
  const char* const begin = digits.data() + (digits.starts_with('+') ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, digits.data() + digits.size(), value);
  return error == std::errc{} && end == digits.data() + digits.size() ? value : kNone;
}

/// How a sweep is drawn: maps over the axes x and y, or lines along x. The rest are slices, a map
/// each, or series, a line each.
struct Layout {
  bool maps = false;
  size_t x = 0, y = 0;
  std::vector<size_t> rest;
};

bool is_matchup(const SweepAxes& sweep) {
  return sweep.axes.size() == 2 && sweep.axes[0].key == "learner.0.name" &&
         sweep.axes[1].key == "learner.1.name";
}

Layout choose_layout(const SweepAxes& sweep) {
  constexpr size_t kMostSeries = charts::Theme::kSeries;
  Layout layout;
  const auto& axes = sweep.axes;
  if (is_matchup(sweep)) {
    layout.maps = true;
    layout.x = 1;  // columns: agent 1
    layout.y = 0;
    return layout;
  }
  std::vector<size_t> order(axes.size());
  for (size_t k = 0; k < order.size(); ++k) order[k] = k;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const bool na = axes[a].numbers.size() > 2, nb = axes[b].numbers.size() > 2;
    return na != nb ? na : axes[a].texts.size() > axes[b].texts.size();
  });
  size_t others = 1;
  for (size_t k = 1; k < order.size(); ++k) others *= axes[order[k]].texts.size();
  const bool two_grids =
      order.size() > 1 && axes[order[0]].numbers.size() > 3 && axes[order[1]].numbers.size() > 3;
  layout.maps = order.size() > 1 && (two_grids || others > kMostSeries);
  layout.x = order[0];
  if (layout.maps) {
    // the axis that stands first in the file runs to the right
    layout.x = std::min(order[0], order[1]);
    layout.y = std::max(order[0], order[1]);
  }
  for (size_t k = layout.maps ? 2 : 1; k < order.size(); ++k) layout.rest.push_back(order[k]);
  std::sort(layout.rest.begin(), layout.rest.end());
  return layout;
}

/// Every combination of the axes in `rest` that occurs, as text and as places.
struct Slice {
  std::string name;
  std::vector<size_t> place;  ///< [axes]; those not in `rest` are 0
  std::vector<size_t> cells;
};
std::vector<Slice> slices_of(const SweepAxes& sweep, const std::vector<size_t>& rest) {
  std::map<std::vector<size_t>, Slice> by_place;
  for (size_t c = 0; c < sweep.place.size(); ++c) {
    std::vector<size_t> key;
    for (const size_t axis : rest) key.push_back(sweep.place[c][axis]);
    Slice& slice = by_place[key];
    if (slice.cells.empty()) {
      slice.place.assign(sweep.axes.size(), 0);
      for (const size_t axis : rest) {
        const auto& one = sweep.axes[axis];
        slice.place[axis] = sweep.place[c][axis];
        slice.name += fmt::format("{}{} = {}", slice.name.empty() ? "" : ", ", one.key,
                                  one.texts[sweep.place[c][axis]]);
      }
    }
    slice.cells.push_back(c);
  }
  std::vector<Slice> slices;
  for (auto& [key, slice] : by_place) slices.push_back(std::move(slice));
  return slices;
}

std::string line_figure(const SweepAxes& sweep, const Layout& layout, const Measure& measure,
                        const ReportExtras& extras) {
  const SweepAxes::Axis& x = sweep.axes[layout.x];
  const bool numeric = !x.numbers.empty();
  charts::LineChart chart;
  chart.x_label = x.key;
  chart.y_label = measure.name;
  chart.marks = marks_of(measure.name, extras);
  if (numeric) {
    chart.log_x = charts::looks_logarithmic(x.numbers);
  } else {
    chart.x_names = x.texts;
  }
  const auto slices = slices_of(sweep, layout.rest);
  for (const Slice& slice : slices) {
    charts::Series series;
    series.name = slice.name;
    std::vector<size_t> cells = slice.cells;
    std::sort(cells.begin(), cells.end(), [&](size_t a, size_t b) {
      return sweep.place[a][layout.x] < sweep.place[b][layout.x];
    });
    for (const size_t c : cells) {
      const size_t at = sweep.place[c][layout.x];
      series.x.push_back(numeric ? x.numbers[at] : static_cast<double>(at));
      series.y.push_back(measure.mean[c]);
      series.low.push_back(measure.mean[c] - kInterval * measure.se[c]);
      series.high.push_back(measure.mean[c] + kInterval * measure.se[c]);
      if (!measure.q05.empty() && slices.size() == 1) {
        series.outer_low.push_back(measure.q05[c]);
        series.outer_high.push_back(measure.q95[c]);
      }
    }
    chart.series.push_back(std::move(series));
  }
  const bool outer = !measure.q05.empty() && slices.size() == 1;
  return figure(draw(chart, measure.name, 820, 320),
                outer ? "Mean over runs with its 95% interval; faint: from the 5% to the 95% "
                        "quantile of runs."
                      : "Mean over runs with its 95% interval.");
}

/// Neighbouring values of an axis that share a pixel: 1 where all have their own.
size_t block_of(size_t values) {
  constexpr size_t kMost = 1000;
  return (values + kMost - 1) / kMost;
}

/// Short texts for an axis of numbers: 9 for 9e-05 where the label says " × 10⁻⁵".
void name_numbers(const SweepAxes::Axis& axis, size_t block, std::vector<std::string>& names,
                  std::string& label) {
  if (axis.numbers.empty()) return;
  std::vector<double> values;
  for (size_t k = 0; k < axis.numbers.size(); k += block) values.push_back(axis.numbers[k]);
  charts::TickTexts texts = charts::value_texts(values);
  names = std::move(texts.texts);
  label += texts.scale;
}

std::string map_figure(const SweepAxes& sweep, const Layout& layout, const Measure& measure,
                       size_t index, const Slice& slice, const charts::ColorScale& scale,
                       bool small, bool as_pictures) {
  const SweepAxes::Axis& x = sweep.axes[layout.x];
  const SweepAxes::Axis& y = sweep.axes[layout.y];
  const size_t block_x = block_of(x.texts.size()), block_y = block_of(y.texts.size());
  const bool down = y.numbers.empty();  // names are read from the top
  charts::HeatMap map;
  for (size_t k = 0; k < x.texts.size(); k += block_x) map.x_names.push_back(x.texts[k]);
  for (size_t k = 0; k < y.texts.size(); k += block_y) map.y_names.push_back(y.texts[k]);
  const size_t columns = map.x_names.size(), rows = map.y_names.size();
  std::vector<double> sum(columns * rows, 0.0), se(columns * rows, kNone);
  std::vector<uint32_t> count(columns * rows, 0);
  for (const size_t c : slice.cells) {
    if (!std::isfinite(measure.mean[c])) continue;
    const size_t row = sweep.place[c][layout.y] / block_y;
    const size_t at = (down ? rows - 1 - row : row) * columns + sweep.place[c][layout.x] / block_x;
    sum[at] += measure.mean[c];
    se[at] = measure.se[c];
    ++count[at];
  }
  for (size_t k = 0; k < sum.size(); ++k)
    map.values.push_back(count[k] > 0 ? sum[k] / count[k] : kNone);
  if (block_x * block_y == 1) map.se = std::move(se);
  if (down) std::reverse(map.y_names.begin(), map.y_names.end());
  map.x_label = x.key;
  map.y_label = y.key;
  if (is_matchup(sweep)) {
    map.x_label = "learner of agent 1";
    map.y_label = "learner of agent 0";
  }
  name_numbers(x, block_x, map.x_names, map.x_label);
  name_numbers(y, block_y, map.y_names, map.y_label);
  map.scale = scale;
  map.as_picture = as_pictures;
  map.all_x_names = x.numbers.empty();

  size_t longest = 0;
  for (const std::string& name : map.y_names) longest = std::max(longest, name.size());
  const double left = 40 + 6.1 * static_cast<double>(longest);
  const double most = (small ? 480 : 760) - left - 90;
  const double wide = std::min(most, std::max(60.0, 110.0 * static_cast<double>(columns)));
  const double high = std::clamp((columns == rows ? 0.72 : 0.62) * wide,
                                 28.0 * std::min<double>(static_cast<double>(rows), 6),
                                 std::max(120.0, 48.0 * static_cast<double>(rows)));
  const double depth =
      map.all_x_names ? charts::names_depth(map.x_names, wide / static_cast<double>(columns)) : 0;
  const std::string title = slice.name.empty() ? measure.name : measure.name + ", " + slice.name;
  const Panel panel{left, 46, wide, high};
  Svg svg(std::max(left + wide + 90, 300.0), 46 + high + 46 + depth, title, charts::kPage);
  svg.text({left, 16}, slice.name.empty() ? measure.name : slice.name,
           {.size = 13.5, .bold = true});
  draw_heat_map(svg, panel, map);
  std::string fixed;
  for (size_t k = 0; k < slice.place.size(); ++k) {
    fixed += (k > 0 ? "," : "") + std::to_string(slice.place[k]);
  }
  std::string attributes;
  if (block_x * block_y == 1) {
    attributes = fmt::format(
        " data-panel='{{\"left\":{:.1f},\"top\":46,\"width\":{:.1f},\"height\":{:.1f},\"columns\":{"
        "},"
        "\"rows\":{},\"x\":{},\"y\":{},\"down\":{},\"measure\":{},\"fixed\":[{}]}}'",
        left, wide, high, columns, rows, layout.x, layout.y, down, index, fixed);
  }
  return figure(svg.finish(),
                block_x * block_y == 1
                    ? ""
                    : fmt::format("Every square is the mean of {} × {} cells.", block_x, block_y),
                attributes);
}

/// Measures of every cell, for tips and chosen cells.
std::string cell_data(const SweepAxes& sweep, const std::vector<Measure>& measures, size_t shown) {
  std::string out = "<script type=\"application/json\" id=\"cells\">{\"axes\":[";
  for (size_t a = 0; a < sweep.axes.size(); ++a) {
    out += fmt::format("{}{{\"key\":{},\"values\":[", a > 0 ? "," : "",
                       json_string(sweep.axes[a].key));
    for (size_t k = 0; k < sweep.axes[a].texts.size(); ++k) {
      out += (k > 0 ? "," : "") + json_string(sweep.axes[a].texts[k]);
    }
    out += "]}";
  }
  out += "],\n\"at\":[";
  for (size_t c = 0; c < sweep.place.size(); ++c) {
    out += c > 0 ? ",[" : "[";
    for (size_t a = 0; a < sweep.axes.size(); ++a) {
      out += (a > 0 ? "," : "") + std::to_string(sweep.place[c][a]);
    }
    out += ']';
  }
  out += "],\n\"measures\":[";
  for (size_t m = 0; m < shown; ++m) {
    out += fmt::format("{}{{\"name\":{},\n\"mean\":[", m > 0 ? "," : "",
                       json_string(measures[m].name));
    const auto list = [&out](const std::vector<double>& values) {
      for (size_t k = 0; k < values.size(); ++k) out += (k > 0 ? "," : "") + json_number(values[k]);
    };
    list(measures[m].mean);
    out += "],\n\"se\":[";
    list(measures[m].se);
    out += "]}";
  }
  return out + "]}</script>\n";
}

std::string cells_table(const Result& result, const SweepAxes& sweep,
                        const std::vector<Measure>& measures) {
  constexpr size_t kMostRows = 200, kMostColumns = 8;
  std::string out = "<section>\n<h2 id=\"cells-table\">Cells</h2>\n";
  if (result.cells.size() > kMostRows) {
    out += fmt::format("<p>The first {} of {} cells; all of them are in the result files.</p>\n",
                       kMostRows, grouped(result.cells.size()));
  }
  out += "<div class=\"scroll\"><table>\n<thead><tr>";
  for (const auto& axis : sweep.axes) out += "<th>" + escape(axis.key) + "</th>";
  out += "<th class=\"n\">runs</th><th class=\"n\">converged</th><th class=\"n\">diverged</th>";
  const size_t columns = std::min(measures.size(), kMostColumns);
  for (size_t m = 0; m < columns; ++m) {
    out += "<th class=\"n\">" + escape(measures[m].name) + " (s.e.)</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (size_t c = 0; c < std::min(result.cells.size(), kMostRows); ++c) {
    const CellResult& cell = result.cells[c];
    out += "<tr>";
    for (size_t a = 0; a < sweep.axes.size(); ++a) {
      out += "<td>" + escape(sweep.axes[a].texts[sweep.place[c][a]]) + "</td>";
    }
    for (const uint64_t v : {cell.runs, cell.converged, uint64_t{cell.diverged.size()}}) {
      out += "<td class=\"n\">" + grouped(v) + "</td>";
    }
    for (size_t m = 0; m < columns; ++m) {
      out += fmt::format(
          "<td class=\"n\">{}{}</td>", number(measures[m].mean[c]),
          std::isfinite(measures[m].se[c]) ? " (" + number(measures[m].se[c], 2) + ")" : "");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n</section>\n";
}

/// Curves of several cells in one picture each.
std::string sweep_curves(const Result& result, const SweepAxes& sweep) {
  constexpr size_t kMost = charts::Theme::kSeries;
  const auto groups = curve_groups(result);
  if (groups.empty()) return "";
  std::vector<size_t> shown;
  const size_t count = std::min(result.cells.size(), kMost);
  for (size_t k = 0; k < count; ++k) {
    shown.push_back(count > 1 ? k * (result.cells.size() - 1) / (count - 1) : 0);
  }
  std::string out = "<section>\n<h2 id=\"curves\">Curves</h2>\n";
  out += fmt::format("<p>Means over runs, with 95% bands of the mean{}.</p>\n",
                     result.cells.size() > kMost
                         ? fmt::format(", of {} of the {} cells, evenly spaced", kMost,
                                       grouped(result.cells.size()))
                         : "");
  out += "<div class=\"choice\">\n";
  for (const auto& [base, names] : groups) {
    for (const std::string& name : names) {
      charts::LineChart chart;
      chart.x_label = base.starts_with("price_") ? "period (0: before the deviation)" : "point";
      chart.y_label = name;
      for (const size_t c : shown) {
        const auto at = result.cells[c].curves.find(name);
        if (at == result.cells[c].curves.end()) continue;
        std::string words;
        for (size_t a = 0; a < sweep.axes.size(); ++a) {
          const auto& axis = sweep.axes[a];
          words +=
              fmt::format("{}{} = {}", words.empty() ? "" : ", ",
                          axis.key.substr(axis.key.rfind('.') + 1), axis.texts[sweep.place[c][a]]);
        }
        chart.series.push_back(curve_series(words, at->second));
      }
      out += fmt::format("<div data-name=\"{}\">\n", escape(name)) +
             figure(draw(chart, name, 820, 300)) + "</div>\n";
    }
  }
  return out + "</div>\n</section>\n";
}

/// Distribution functions of few cells beside each other.
std::string sweep_distributions(const Result& result, const SweepAxes& sweep,
                                const std::vector<MetricGroup>& groups) {
  if (result.cells.size() > charts::Theme::kSeries) return "";
  std::string options;
  for (const MetricGroup& group : groups) {
    for (const std::string& name : group.names()) {
      if (share_names(result).contains(name)) continue;
      charts::LineChart chart = distribution_chart(name);
      for (size_t c = 0; c < result.cells.size(); ++c) {
        std::string words;
        for (size_t a = 0; a < sweep.axes.size(); ++a) {
          words += fmt::format("{}{} = {}", words.empty() ? "" : ", ", sweep.axes[a].key,
                               sweep.axes[a].texts[sweep.place[c][a]]);
        }
        chart.series.push_back(distribution(words, sorted_values(result.cells[c], name)));
      }
      options += fmt::format("<div data-name=\"{}\">\n", escape(name)) +
                 figure(draw(chart, "Distribution of " + name, 820, 300)) + "</div>\n";
    }
  }
  if (options.empty()) return "";
  return "<section>\n<h2 id=\"distributions\">Distributions over runs</h2>\n<div "
         "class=\"choice\">\n" +
         options + "</div>\n</section>\n";
}

std::string sweep_sections(const Result& result, const ReportExtras& extras,
                           std::vector<std::pair<std::string, std::string>>& links) {
  constexpr size_t kMostSlices = 12, kMostData = 120'000, kMostSquares = 2'000'000,
                   kMostElements = 12'000;
  const SweepAxes sweep = sweep_axes(result);
  const Layout layout = choose_layout(sweep);
  std::vector<Measure> measures = all_measures(result);
  if (is_matchup(sweep)) {  // what the row player got stands first
    std::stable_sort(measures.begin(), measures.end(), [](const Measure& a, const Measure& b) {
      const auto key = [](const Measure& m) {
        const auto [base, agent] = split_agent(m.name);
        return std::pair{agent == 0 ? 0 : 1, rank_of(base)};
      };
      return key(a) < key(b);
    });
  }
  size_t shown = measures.size();
  if (layout.maps) {
    shown = std::min(shown, std::max<size_t>(3, kMostSquares / result.cells.size()));
  }
  const std::string heading = is_matchup(sweep) ? "Match-ups" : "Results over the sweep";
  std::string out = fmt::format("<section>\n<h2 id=\"sweep\">{}</h2>\n", heading);
  links.emplace_back("sweep", heading);
  if (is_matchup(sweep)) {
    out +=
        "<p>Rows: the learner of agent 0. Columns: the learner of agent 1. A measure that ends in "
        "_agent0 is what the row got.</p>\n";
  }
  const auto slices = slices_of(sweep, layout.rest);
  if (layout.maps && slices.size() > kMostSlices) {
    out += fmt::format("<p>The first {} of {} slices are drawn.</p>\n", kMostSlices,
                       grouped(slices.size()));
  }
  if (shown < measures.size()) {
    out += fmt::format("<p>{} of {} measures are drawn; the sweep is large.</p>\n", shown,
                       measures.size());
  }
  const bool beside = layout.maps && slices.size() == 1;  // a chosen cell stands beside the map
  if (beside) out += "<div class=\"beside\">\n";
  out += "<div class=\"choice\">\n";
  for (size_t m = 0; m < shown; ++m) {
    out += fmt::format("<div data-name=\"{}\">\n", escape(measures[m].name));
    if (!layout.maps) {
      out += line_figure(sweep, layout, measures[m], extras);
    } else {
      const charts::ColorScale scale = charts::ColorScale::of(measures[m].mean);
      const bool small = slices.size() > 1;
      if (small) out += "<h3>" + escape(measures[m].name) + "</h3>\n<div class=\"figures\">\n";
      for (size_t k = 0; k < std::min(slices.size(), kMostSlices); ++k) {
        out += map_figure(sweep, layout, measures[m], m, slices[k], scale, small,
                          result.cells.size() * shown > kMostElements);
      }
      if (small) out += "</div>\n";
    }
    out += "</div>\n";
  }
  out += "</div>\n";
  if (layout.maps) {
    out += "<div class=\"chosen\" id=\"chosen\" aria-live=\"polite\" hidden></div>\n";
    if (beside) out += "</div>\n";
    const size_t data = std::min(shown, kMostData / result.cells.size());
    if (data > 0) out += cell_data(sweep, measures, data);
  }
  out += "</section>\n";
  const std::string distributions = sweep_distributions(result, sweep, metric_groups(result));
  if (!distributions.empty()) links.emplace_back("distributions", "Distributions");
  const std::string curves = sweep_curves(result, sweep);
  if (!curves.empty()) links.emplace_back("curves", "Curves");
  links.emplace_back("cells-table", "Cells");
  return out + distributions + curves + cells_table(result, sweep, measures);
}

// ---- gridworlds ----

std::string policy_figure(const PolicyMap& map, size_t index) {
  constexpr double kCell = 52;
  const double left = 14, top = 34;
  const double width = kCell * map.cols, height = kCell * map.rows;
  Svg svg(std::max(width + 28, 200.0), height + top + 14, "Policy of agent " + map.agent,
          charts::kPage);
  svg.text({left, 18}, "Agent " + map.agent, {.size = 13.5, .bold = true});
  uint64_t most = 1;
  const auto visits_at = [&](size_t cell) { return map.visits.data() + cell * PolicyMap::kMoves; };
  const auto cells = static_cast<size_t>(map.rows) * static_cast<size_t>(map.cols);
  for (size_t cell = 0; cell < cells; ++cell) {
    uint64_t total = 0;
    for (size_t k = 0; k < PolicyMap::kMoves; ++k) total += visits_at(cell)[k];
    most = std::max(most, total);
  }
  const char* const color = svg.theme().series[index % charts::Theme::kSeries];
  for (size_t cell = 0; cell < cells; ++cell) {
    const double x = left + kCell * static_cast<double>(cell % static_cast<size_t>(map.cols));
    const double y = top + kCell * static_cast<double>(cell / static_cast<size_t>(map.cols));
    if (map.walls[cell] != 0) {
      svg.rect(x, y, kCell, kCell, svg.theme().faint);
      continue;
    }
    uint64_t total = 0;
    std::string tip;
    for (size_t k = 0; k < PolicyMap::kMoves; ++k) total += visits_at(cell)[k];
    static constexpr const char* kNames[] = {"north", "south", "west", "east", "other"};
    for (size_t k = 0; k < PolicyMap::kMoves && total > 0; ++k) {
      tip +=
          fmt::format("{}{} {}", k > 0 ? ", " : "", kNames[k], percent(visits_at(cell)[k], total));
    }
    svg.rect(x + 0.5, y + 0.5, kCell - 1, kCell - 1, svg.theme().grid,
             total > 0 ? fmt::format("{} visits: {}", grouped(total), tip) : "never there");
    if (total == 0) continue;
    static constexpr double kDx[] = {0, 0, -1, 1}, kDy[] = {-1, 1, 0, 0};
    const double cx = x + kCell / 2, cy = y + kCell / 2;
    for (size_t k = 0; k < PolicyMap::other; ++k) {
      const double share = static_cast<double>(visits_at(cell)[k]) / static_cast<double>(total);
      if (share < 0.02) continue;
      const double length = 5 + 18 * std::sqrt(share);
      svg.arrow({cx, cy}, {cx + kDx[k] * length, cy + kDy[k] * length}, color, 1.4 + 2.2 * share,
                0.35 + 0.65 * share);
    }
    const double still =
        static_cast<double>(visits_at(cell)[PolicyMap::other]) / static_cast<double>(total);
    if (still >= 0.02) svg.dot({cx, cy}, 1.5 + 5.5 * std::sqrt(still), color, color);
  }
  return figure(svg.finish());
}

std::string play_section(const ReportExtras& extras) {
  if (extras.policies.empty() && extras.episode.empty()) return "";
  std::string out = "<section>\n<h2 id=\"play\">What was learnt</h2>\n";
  if (!extras.policy_caption.empty()) out += "<p>" + escape(extras.policy_caption) + "</p>\n";
  out += "<div class=\"row\">\n";
  for (size_t k = 0; k < extras.policies.size(); ++k) out += policy_figure(extras.policies[k], k);
  if (!extras.episode.empty()) {
    out += figure(extras.episode,
                  "An episode of the first run's tables, all agents playing their "
                  "best action.",
                  " class=\"white\"");
  }
  return out + "</div>\n</section>\n";
}

// ---- configuration ----

std::string config_section(const std::string& config) {
  if (config.empty()) return "";
  std::string out =
      "<section>\n<h2 id=\"config\">Configuration</h2>\n<p>Every value with its origin; defaults "
      "are faint.</p>\n<div class=\"scroll\"><table>\n<thead><tr><th>key</th><th>value</th>"
      "<th>origin</th></tr></thead>\n<tbody>\n";
  std::istringstream lines(config);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const size_t equals = line.find(" = ");
    if (line.front() == '[' || equals == std::string::npos) {
      out +=
          "<tr class=\"section\"><td colspan=\"3\"><code>" + escape(line) + "</code></td></tr>\n";
      continue;
    }
    size_t comment = line.rfind("  # ");
    if (comment != std::string::npos && comment < equals) comment = std::string::npos;
    const std::string origin = comment == std::string::npos ? "" : line.substr(comment + 4);
    out +=
        fmt::format("<tr{}><td><code>{}</code></td><td><code>{}</code></td><td>{}</td></tr>\n",
                    origin == "default" ? " class=\"default\"" : "", escape(line.substr(0, equals)),
                    escape(line.substr(
                        equals + 3, comment == std::string::npos ? comment : comment - equals - 3)),
                    escape(origin));
  }
  return out + "</tbody></table></div>\n</section>\n";
}

}  // namespace

SweepAxes sweep_axes(const Result& result) {
  std::vector<std::string> keys;
  std::map<std::string, std::vector<std::string>> values;  // in the order they come
  std::map<std::string, std::map<std::string, size_t>> known;
  for (const CellResult& cell : result.cells) {
    for (const auto& [key, value] : cell.set) {
      if (!values.contains(key)) keys.push_back(key);
      auto& list = values[key];
      if (known[key].try_emplace(value, list.size()).second) list.push_back(value);
    }
  }
  SweepAxes sweep;
  sweep.place.resize(result.cells.size());
  for (const std::string& key : keys) {
    const auto& list = values[key];
    if (list.size() < 2) continue;
    std::vector<double> numbers;
    for (const std::string& text : list) numbers.push_back(number_of(text));
    const bool numeric =
        std::none_of(numbers.begin(), numbers.end(), [](double v) { return !std::isfinite(v); });
    std::vector<size_t> order(list.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    if (numeric) {
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return numbers[a] < numbers[b]; });
    }
    SweepAxes::Axis axis;
    axis.key = key;
    std::vector<size_t> place(list.size());
    for (size_t k = 0; k < order.size(); ++k) {
      place[order[k]] = k;
      axis.texts.push_back(unquoted(list[order[k]]));
      if (numeric) axis.numbers.push_back(numbers[order[k]]);
    }
    for (size_t c = 0; c < result.cells.size(); ++c) {
      size_t at = 0;  // a cell that does not set the key stands with the first value
      for (const auto& [name, value] : result.cells[c].set) {
        if (name == key) at = place[known[key][value]];
      }
      sweep.place[c].push_back(at);
    }
    sweep.axes.push_back(std::move(axis));
  }
  return sweep;
}

std::string html_report(const Result& result, const ReportExtras& extras) {
  std::vector<std::pair<std::string, std::string>> links;  // id, words
  std::string body;
  const auto add = [&](const char* id, const char* words, std::string section) {
    if (section.empty()) return;
    links.emplace_back(id, words);
    body += section;
  };
  if (result.cells.size() == 1) {
    const CellResult& cell = result.cells[0];
    const auto groups = metric_groups(result);
    add("metrics", "Metrics",
        groups.empty()
            ? ""
            : "<section>\n<h2 id=\"metrics\">Metrics</h2>\n" + tiles(cell, groups, extras) +
                  metrics_table(cell, groups) + "</section>\n");
    add("curves", "Curves", curves_section(cell, result, extras));
    add("distributions", "Distributions", distributions_section(cell, groups, extras));
    add("shares", "Shares", shares_section(cell, extras));
    add("published", "Published figures", published_section(extras));
  } else if (!result.cells.empty()) {
    body += sweep_sections(result, extras, links);
  }
  add("play", "What was learnt", play_section(extras));
  add("config", "Configuration", config_section(result.resolved_config));

  std::string nav;
  for (const auto& [id, words] : links) {
    nav += fmt::format("<a href=\"#{}\">{}</a>\n", id, words);
  }
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += "<title>" + escape(result.experiment) + "</title>\n<style>" + kStyle + "</style>\n";
  page += "</head>\n<body>\n<header>\n<h1>" + escape(result.experiment) + "</h1>\n";
  if (!extras.title.empty()) page += "<p class=\"faint\">" + escape(extras.title) + "</p>\n";
  page += facts(result, extras) + notes(result, extras) + "<nav>\n" + nav + "</nav>\n</header>\n";
  page += "<main>\n" + body + "</main>\n";
  page += fmt::format(
      "<footer>Written by cuMARL {}. The same configuration, seed and runs give the result hash "
      "<span class=\"hash\">{}</span> on any device.</footer>\n",
      version(), escape(result.result_hash));
  page += std::string("<script>") + kScript + "</script>\n</body>\n</html>\n";
  return page;
}

}  // namespace cumarl

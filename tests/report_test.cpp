/// \file
/// Pages of experiments and their charts: scales and bins by hand, colours that grey print keeps
/// apart, sizes and times of large results, and results with nothing in them.
#include "host/src/report.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/src/charts.hpp"
#include "host/src/plot.hpp"

namespace cumarl {
namespace {

using Json = nlohmann::ordered_json;
using Texts = std::vector<std::string>;

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], wanted[k], 1e-9) << k;
}

// ---- scales ----

TEST(Scales, TicksAreRound) {
  expect_near(charts::ticks(0, 1, 5), {0, 0.2, 0.4, 0.6, 0.8, 1});
  expect_near(charts::ticks(0.13, 0.87, 5), {0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8});
  expect_near(charts::ticks(-3, 7, 5), {-2, 0, 2, 4, 6});
  expect_near(charts::ticks(0, 1'240'000, 5),
              {0, 200'000, 400'000, 600'000, 800'000, 1'000'000, 1'200'000});
  expect_near(charts::ticks(5, 5, 5), {5});
  EXPECT_EQ(charts::ticks(std::nan(""), 1, 5).size(), 1U);
  EXPECT_EQ(charts::ticks(1e300, 1e300 + 1, 5).size(), 1U);
}

TEST(Scales, TickTextsHaveUnits) {
  EXPECT_EQ(charts::tick_texts({0, 0.5, 1}).texts, (Texts{"0.0", "0.5", "1.0"}));
  EXPECT_EQ(charts::tick_texts({-1, 0, 1}).texts, (Texts{"−1", "0", "1"}));
  EXPECT_EQ(charts::tick_texts({0, 500'000, 1'000'000}).texts, (Texts{"0.0", "0.5M", "1.0M"}));
  EXPECT_EQ(charts::tick_texts({20'000, 40'000}).texts, (Texts{"20k", "40k"}));
  const charts::TickTexts small = charts::tick_texts({0, 2e-5, 4e-5});
  EXPECT_EQ(small.texts, (Texts{"0", "2", "4"}));
  EXPECT_EQ(small.scale, " × 10⁻⁵");
  EXPECT_EQ(charts::value_texts({0.85, 0.9, 0.975}).texts, (Texts{"0.85", "0.9", "0.975"}));
}

TEST(Scales, LogarithmicTicksAndWhereTheyBelong) {
  expect_near(charts::log_ticks(0.01, 100, 8), {0.01, 0.1, 1, 10, 100});
  expect_near(charts::log_ticks(0.1, 5, 8), {0.1, 0.2, 0.5, 1, 2, 5});
  EXPECT_TRUE(charts::looks_logarithmic({1e-4, 1e-3, 1e-2}));
  EXPECT_FALSE(charts::looks_logarithmic({0.001, 0.5, 1}));  // even in themselves
  EXPECT_FALSE(charts::looks_logarithmic({0, 1, 1000}));
  EXPECT_FALSE(charts::looks_logarithmic({1, 2, 4}));  // over a factor of 4 only
}

TEST(Scales, Numbers) {
  EXPECT_EQ(charts::number(0.84872), "0.8487");
  EXPECT_EQ(charts::number(-0.5), "−0.5");
  EXPECT_EQ(charts::number(1'821'490.4), "1,821,490");
  EXPECT_EQ(charts::number(4.1e-6), "4.1×10⁻⁶");
  EXPECT_EQ(charts::number(0), "0");
  EXPECT_EQ(charts::number(std::nan("")), "–");
  EXPECT_EQ(charts::number(-INFINITY), "−∞");
  EXPECT_EQ(charts::number(0.0081234, 2), "0.0081");
  EXPECT_EQ(charts::number(999.97), "1,000");
  EXPECT_EQ(charts::grouped(0), "0");
  EXPECT_EQ(charts::grouped(1'234), "1,234");
  EXPECT_EQ(charts::grouped(123'456'789), "123,456,789");
}

TEST(Bins, WholeNumbersHaveOneEach) {
  const charts::Bins bins = charts::bin({1, 1, 2, 4});
  EXPECT_EQ(bins.low, 0.5);
  EXPECT_EQ(bins.width, 1);
  EXPECT_EQ(bins.counts, (std::vector<uint64_t>{2, 1, 0, 1}));
}

TEST(Bins, FreedmanDiaconisByHand) {
  // Quartiles 2.25 and 5.75, n = 8: 2 * 3.5 / 2 = 3.5, rounded up to 5.
  const charts::Bins bins = charts::bin({0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5});
  EXPECT_EQ(bins.low, 0);
  EXPECT_EQ(bins.width, 5);
  EXPECT_EQ(bins.counts, (std::vector<uint64_t>{5, 3}));
  EXPECT_EQ(bins.total, 8U);
}

TEST(Bins, EdgesEqualValuesAndOutliers) {
  // 0.3 / 0.1 is below 3 in doubles: the value belongs to [0.3, 0.4) all the same.
  std::vector<double> tenths;
  for (int k = 0; k < 1000; ++k) tenths.push_back((k / 100) / 10.0);
  const charts::Bins edges = charts::bin(tenths);
  EXPECT_NEAR(edges.width, 0.1, 1e-12);  // 2 (0.7 - 0.2) / 10
  EXPECT_EQ(edges.counts, (std::vector<uint64_t>{100, 100, 100, 100, 100, 100, 100, 100, 200}));
  const charts::Bins alike = charts::bin({2.5, 2.5, 2.5});
  EXPECT_EQ(alike.counts, (std::vector<uint64_t>{3}));
  EXPECT_LT(alike.low, 2.5);
  EXPECT_GT(alike.low + alike.width, 2.5);
  std::vector<double> far(1000, 0.25);
  far.push_back(1e9);
  const charts::Bins outlier = charts::bin(far);
  EXPECT_LE(outlier.counts.size(), 61U);
  EXPECT_EQ(outlier.counts.front(), 1000U);
  EXPECT_EQ(outlier.counts.back(), 1U);
}

TEST(Bins, Quantiles) {
  EXPECT_DOUBLE_EQ(charts::quantile({1, 2, 3, 4}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(charts::quantile({1, 2, 3, 4}, 0.05), 1.15);
  EXPECT_DOUBLE_EQ(charts::quantile({7}, 0.9), 7);
}

TEST(Labels, AreThinnedToRoundOnes) {
  Texts names;
  for (int k = 2; k <= 20; ++k) names.push_back(charts::number(0.0125 * k));  // 0.025 to 0.25
  const auto places = charts::label_places(names, 12);  // every fourth, at least
  Texts shown;
  for (const size_t k : places) shown.push_back(names[k]);
  EXPECT_EQ(shown, (Texts{"0.05", "0.1", "0.15", "0.2", "0.25"}));
  EXPECT_EQ(charts::label_places({"a", "b"}, 50), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(charts::names_depth({"a", "b"}, 50), 0);
  EXPECT_GT(charts::names_depth({"a long name of a learner", "b"}, 50), 0);
}

// ---- colours ----

double luminance(charts::Rgb c) { return 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b; }

TEST(Colors, LightnessTellsValuesApart) {
  EXPECT_EQ(charts::hex(charts::viridis(0)), "#440154");
  EXPECT_EQ(charts::hex(charts::viridis(1)), "#fde725");
  EXPECT_EQ(charts::hex(charts::viridis(0.5)), "#21918c");
  for (int k = 1; k <= 50; ++k) {
    EXPECT_GT(luminance(charts::viridis(k / 50.0)), luminance(charts::viridis((k - 1) / 50.0)));
    EXPECT_LT(luminance(charts::diverging(k / 50.0)), luminance(charts::diverging((k - 1) / 50.0)));
    EXPECT_LT(luminance(charts::diverging(-k / 50.0)),
              luminance(charts::diverging((1 - k) / 50.0)));
  }
  EXPECT_TRUE(charts::is_light(charts::viridis(1)));
  EXPECT_FALSE(charts::is_light(charts::viridis(0)));
}

TEST(Colors, ScalesFitTheirValues) {
  const double none = charts::kNone;
  const auto one_sided = charts::ColorScale::of({none, 0.2, 0.8});
  EXPECT_FALSE(one_sided.around_zero);
  EXPECT_EQ(one_sided.low, 0.2);
  EXPECT_EQ(one_sided.high, 0.8);
  EXPECT_EQ(charts::hex(one_sided.at(5)), "#fde725");
  const auto two_sided = charts::ColorScale::of({-1, 2});
  EXPECT_TRUE(two_sided.around_zero);
  EXPECT_EQ(two_sided.low, -2);
  EXPECT_FALSE(charts::ColorScale::of({-0.01, 2}).around_zero);
  for (const auto& values : {std::vector<double>{3, 3}, std::vector<double>{none}}) {
    const auto scale = charts::ColorScale::of(values);
    EXPECT_GT(scale.high, scale.low);
  }
}

// ---- heat maps ----

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

TEST(HeatMaps, CellsStandWhereTheyBelong) {
  charts::HeatMap map;
  map.x_names = {"1", "2", "3"};
  map.y_names = {"10", "20"};
  map.values = {0, 0.5, 1, charts::kNone, -3, 2};
  map.scale = {.low = 0, .high = 1};
  charts::Svg svg(700, 620, "a < b & \"c\"");
  draw_heat_map(svg, {92, 84, 480, 480}, map);
  const std::string picture = svg.finish();
  EXPECT_NE(picture.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
  // 480 pixels a side from (92, 84): columns 160 wide, rows 240 high, row 0 at the bottom. The ends
  // and the middle of matplotlib's viridis; beyond the ends their colours.
  const auto rect = [](const char* x, const char* y, const char* fill) {
    return std::string("<rect x=\"") + x + "\" y=\"" + y +
           "\" width=\"160.00\" height=\"240.00\" fill=\"" + fill + "\"";
  };
  EXPECT_EQ(count(picture, rect("92.00", "324.00", "#440154")), 1u);
  EXPECT_EQ(count(picture, rect("252.00", "324.00", "#21918c")), 1u);
  EXPECT_EQ(count(picture, rect("412.00", "324.00", "#fde725")), 1u);
  EXPECT_EQ(count(picture, rect("252.00", "84.00", "#440154")), 1u);
  EXPECT_EQ(count(picture, rect("412.00", "84.00", "#fde725")), 1u);
  EXPECT_EQ(count(picture, "width=\"160.00\""), 5u);  // nothing is known of the sixth
  EXPECT_EQ(count(picture, "nan"), 0u);
  EXPECT_EQ(count(picture, "<svg"), count(picture, "</svg>"));
}

TEST(Png, Base64AndChunks) {
  // RFC 4648, section 10.
  EXPECT_EQ(charts::base64(""), "");
  EXPECT_EQ(charts::base64("f"), "Zg==");
  EXPECT_EQ(charts::base64("fo"), "Zm8=");
  EXPECT_EQ(charts::base64("foo"), "Zm9v");
  EXPECT_EQ(charts::base64("foob"), "Zm9vYg==");
  // The empty last chunk has the same checksum in every PNG file.
  const std::string file = charts::png(2, 1, {0, 1}, {{0, 0, 0}, {255, 0, 0}});
  EXPECT_TRUE(file.ends_with(std::string("\0\0\0\0IEND\xae\x42\x60\x82", 12)));
}

// ---- pages ----

Statistic statistic(double mean, uint64_t n = 10) {
  return {n,          mean, 0.1,        0.01,       mean - 1, mean - 0.9,
          mean - 0.5, mean, mean + 0.5, mean + 0.9, mean + 1};
}

/// A cell with raw values of two metrics; `value(run)` is that of the first.
template <class Value>
CellResult cell_of(uint64_t runs, Value value) {
  CellResult cell;
  cell.runs = cell.converged = runs;
  cell.columns = {"converged", "joint_steps", "profit_gain", "mean_price"};
  for (uint64_t r = 0; r < runs; ++r) {
    cell.run_ids.push_back(r);
    for (const double v : {1.0, 100.0, value(r), 1.5}) cell.values.push_back(v);
  }
  cell.metrics["profit_gain"] = statistic(0.8, runs);
  cell.metrics["mean_price"] = statistic(1.5, runs);
  cell.shares["cycle_length"] = {{"1", 0.75}, {"2", 0.25}};
  return cell;
}

Result result_of(std::vector<CellResult> cells) {
  Result result;
  result.experiment = "test";
  result.device = "cpu";
  result.seconds = 1;
  result.result_hash = "0123456789abcdef";
  for (const CellResult& cell : cells) {
    result.runs += cell.runs;
    result.converged += cell.converged;
  }
  result.cells = std::move(cells);
  return result;
}

/// A sweep over two numbers, side x side cells.
Result grid(int side) {
  std::vector<CellResult> cells;
  for (int i = 0; i < side; ++i) {
    for (int j = 0; j < side; ++j) {
      CellResult cell;
      cell.runs = 2;
      cell.set = {{"learner.alpha", std::to_string(0.001 * (i + 1))},
                  {"learner.gamma", std::to_string(0.0005 * j)}};
      for (int m = 0; m < 12; ++m) {
        cell.metrics["metric_" + std::to_string(m)] = statistic(std::sin(0.1 * i) + 0.01 * j, 2);
      }
      cells.push_back(std::move(cell));
    }
  }
  return result_of(std::move(cells));
}

/// A page has numbers, not what C++ prints for what is none.
void expect_clean(const std::string& page) {
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(page.ends_with("</html>\n"));
  const std::string body =
      page.substr(page.find("<body>"), page.rfind("<script>") - page.find("<body>"));
  for (const char* wrong : {">nan", "\"nan", " nan", "inf\"", ">inf", "-nan"}) {
    EXPECT_EQ(body.find(wrong), std::string::npos) << wrong;
  }
  EXPECT_EQ(count(body, "<svg"), count(body, "</svg>"));
}

TEST(Page, AMillionRunsInASmallPageInTime) {
  const auto value = [](uint64_t r) {
    return 0.5 + 0.5 * std::sin(static_cast<double>(r) * 0.7390851);
  };
  const std::string few = html_report(result_of({cell_of(1000, value)}));
  const Result many = result_of({cell_of(1'000'000, value)});
  const auto begin = std::chrono::steady_clock::now();
  const std::string page = html_report(many);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  expect_clean(page);
  EXPECT_LT(seconds, 10);
  EXPECT_LT(page.size(), few.size() + 20'000);  // nothing grows with runs but digits and bins
  EXPECT_NE(page.find("1,000,000"), std::string::npos);
  std::printf("a million runs: %.2f s, %zu bytes\n", seconds, page.size());
}

TEST(Page, TenThousandCellsAreSmallPictures) {
  const std::string page = html_report(grid(100));
  expect_clean(page);
  EXPECT_LT(page.size(), 5'000'000U);
  EXPECT_LT(count(page, "<rect"), 5000U);  // no element a cell
  EXPECT_GE(count(page, "data:image/png;base64,"), 12U);
  const size_t from = page.find('{', page.find("id=\"cells\""));
  const Json data = Json::parse(page.substr(from, page.find("</script>", from) - from));
  EXPECT_EQ(data["at"].size(), 10'000U);
  EXPECT_EQ(data["axes"][0]["key"], "learner.alpha");
  EXPECT_EQ(data["measures"][0]["mean"].size(), 10'000U);
  EXPECT_NEAR(data["measures"][0]["mean"][101].get<double>(), std::sin(0.1) + 0.01, 1e-3);
}

TEST(Page, ManySmallMapsAreSmall) {
  Result result;
  for (int slice = 0; slice < 12; ++slice) {
    for (CellResult& cell : grid(20).cells) {
      cell.set.emplace_back("env.k", "\"" + std::to_string(slice) + "\"");
      result.cells.push_back(std::move(cell));
    }
  }
  const std::string page = html_report(result);
  expect_clean(page);
  EXPECT_LT(page.size(), 5'000'000U);  // 4,800 cells, 12 measures
}

TEST(Page, MoreCellsThanPixels) {
  Result wide;
  for (int i = 0; i < 2500; ++i) {
    for (int j = 0; j < 4; ++j) {
      CellResult cell;
      cell.runs = 1;
      cell.set = {{"env.a", std::to_string(i)}, {"env.b", std::to_string(j)}};
      cell.metrics["m"] = statistic(i % 3, 1);
      wide.cells.push_back(std::move(cell));
    }
  }
  const std::string page = html_report(wide);
  expect_clean(page);
  EXPECT_NE(page.find("mean of 3 × 1 cells"), std::string::npos);
}

TEST(Page, NamesAreTextNotMarkup) {
  Result result = result_of({cell_of(20, [](uint64_t r) { return static_cast<double>(r); })});
  result.experiment = "<script>alert('x')</script> & \"more\"";
  result.cells[0].shares["<b>"] = {{"</title>", 0.5}, {"]]>", 0.5}};
  result.cells[0].metrics["<i>"] = statistic(1);
  result.resolved_config = "[experiment]\nname = \"<script>\"  # <file>:1\n";
  ReportExtras extras;
  extras.notes = {"<u>"};
  extras.title = "<s>";
  const std::string page = html_report(result, extras);
  expect_clean(page);
  EXPECT_EQ(count(page, "<script"), 1U);  // the page's own
  for (const char* wrong : {"<b>]", "<i>", "<u>", "<s>", "<file>", "<b>\""}) {
    EXPECT_EQ(page.find(wrong), std::string::npos) << wrong;
  }
  EXPECT_NE(page.find("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;"),
            std::string::npos);

  Result sweep = grid(5);
  sweep.cells[0].metrics["</script><script>"] = statistic(1);
  EXPECT_EQ(count(html_report(sweep), "<script"), 2U);  // the page's and its data
}

TEST(Page, NothingToShowIsSaid) {
  expect_clean(html_report(Result{}));

  CellResult diverged;  // as the runner makes it: metrics without runs, raw values that are none
  diverged.runs = 3;
  diverged.columns = {"converged", "joint_steps", "episode_return"};
  diverged.metrics["episode_return"] = Statistic{};
  diverged.shares["labels"];
  diverged.curves["curve"] = {Statistic{}, Statistic{}};
  for (uint64_t r = 0; r < 3; ++r) {
    diverged.run_ids.push_back(r);
    diverged.diverged.push_back({r, 1, 40 + r});
    for (const double v : {0.0, 40.0, std::nan("")}) diverged.values.push_back(v);
  }
  const std::string page = html_report(result_of({diverged}));
  expect_clean(page);
  EXPECT_NE(page.find("3 of 3 runs diverged"), std::string::npos);
  EXPECT_NE(page.find("run 2 (agent 1, after step 42)"), std::string::npos);
  EXPECT_NE(page.find("nothing to draw"), std::string::npos);
  EXPECT_NE(page.find("episode_return"), std::string::npos);

  Result sweep = grid(4);
  sweep.cells[5] = diverged;
  sweep.cells[5].set = grid(4).cells[5].set;
  sweep.cells[6].metrics.clear();
  sweep.cells[6].runs = 0;
  const std::string partly = html_report(sweep);
  expect_clean(partly);
  EXPECT_NE(partly.find("2 of 16 cells have no run with measures"), std::string::npos);
}

TEST(Page, DivergedRunsAreInNoPicture) {
  CellResult cell = cell_of(5, [](uint64_t r) { return r == 3 ? 1e30 : static_cast<double>(r); });
  cell.diverged = {{3, 0, 10}};
  EXPECT_EQ(sorted_values(cell, "profit_gain"), (std::vector<double>{0, 1, 2, 4}));
  EXPECT_TRUE(sorted_values(cell, "no such column").empty());
}

TEST(Page, PublishedFiguresStandBesideOurs) {
  const Result result =
      result_of({cell_of(20, [](uint64_t r) { return 0.04 * static_cast<double>(r); })});
  ReportExtras extras;
  ReproduceRow row;
  row.what = "profit_gain, mean";
  row.published = 0.75;
  row.ours = 0.8;
  row.n = 20;
  row.tolerance = 0.1;
  row.ok = true;
  row.figure.name = "profit_gain";
  extras.rows = {row};
  row.ok = false;
  row.tolerance = 0.01;
  extras.rows.push_back(row);
  row.ours = row.se = charts::kNone;
  row.tolerance = INFINITY;
  extras.rows.push_back(row);
  extras.source = "A paper";
  const std::string page = html_report(result, extras);
  expect_clean(page);
  for (const char* words : {"✓ within", "✗ outside", "too few runs", "Source: A paper",
                            "published 0.75", "0.50 tolerances", "static Nash", "monopoly"}) {
    EXPECT_NE(page.find(words), std::string::npos) << words;
  }
}

TEST(Page, AxesOfASweep) {
  const auto cell = [](const char* game, const char* alpha) {
    CellResult one;
    one.runs = 1;
    one.set = {{"env.game", game}, {"learner.alpha", alpha}, {"learner.gamma", "0.9"}};
    return one;
  };
  Result result;
  result.cells = {cell("\"stag_hunt\"", "1e-1"), cell("\"chicken\"", "0.02"),
                  cell("\"chicken\"", "1_000")};
  const SweepAxes sweep = sweep_axes(result);
  ASSERT_EQ(sweep.axes.size(), 2U);  // gamma has one value
  EXPECT_EQ(sweep.axes[0].texts, (Texts{"stag_hunt", "chicken"}));
  EXPECT_TRUE(sweep.axes[0].numbers.empty());
  EXPECT_EQ(sweep.axes[1].numbers, (std::vector<double>{0.02, 0.1, 1000}));
  EXPECT_EQ(sweep.axes[1].texts, (Texts{"0.02", "1e-1", "1_000"}));
  EXPECT_EQ(sweep.place, (std::vector<std::vector<size_t>>{{0, 1}, {1, 0}, {1, 2}}));
}

TEST(Page, KnownPricesOfTheMarket) {
  RunRequest request;
  request.config_file = experiments_directory() + "/calvano2020-baseline.toml";
  request.runs = 2;
  request.device = "cpu";
  request.threads = 1;
  request.sets = {"stop.max_steps=2000"};
  const Result result = Runner(request).run();
  const ReportExtras extras = find_extras(result, "/nowhere");
  // Calvano et al., AER 2020, section II: Nash and monopoly prices 1.47 and 1.92.
  ASSERT_EQ(extras.prices.size(), 2U);
  EXPECT_NEAR(extras.prices[0].price, 1.47, 0.005);
  EXPECT_NEAR(extras.prices[1].price, 1.92, 0.0051);
  EXPECT_FALSE(extras.rows.empty());
  ASSERT_EQ(extras.notes.size(), 1U);
  EXPECT_NE(extras.notes[0].find("stop.max_steps=2000"), std::string::npos);
  const std::string page = html_report(result, extras);
  expect_clean(page);
  EXPECT_NE(page.find("Prices after a best-response deviation"), std::string::npos);
}

TEST(Page, PoliciesAreArrows) {
  ReportExtras extras;
  PolicyMap map;
  map.agent = "A";
  map.rows = 1;
  map.cols = 3;
  map.walls = {0, 1, 0};
  map.visits.assign(15, 0);
  map.visits[PolicyMap::east] = 3;
  map.visits[PolicyMap::other] = 1;
  extras.policies = {map};
  const std::string page =
      html_report(result_of({cell_of(1, [](uint64_t) { return 0.5; })}), extras);
  expect_clean(page);
  EXPECT_NE(page.find("4 visits: north 0%, south 0%, west 0%, east 75%, other 25%"),
            std::string::npos);
  EXPECT_NE(page.find("never there"), std::string::npos);
  EXPECT_EQ(page.find("Distributions over runs"), std::string::npos);  // of one run there is none
}

}  // namespace
}  // namespace cumarl

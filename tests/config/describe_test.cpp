// Descriptions derived from rows, and checks done at compile time.
#include "config/describe.h"

#include <gtest/gtest.h>

#include "tests/config/sample.h"

namespace sluice::config {
namespace {

struct Inner {
  double x = 1;
  std::int64_t n = 2;
  static constexpr auto fields() { return std::tuple{field<&Inner::x>(""), field<&Inner::n>("")}; }
};

// Each omits or misnames a member.
struct Forgot {
  double a = 0;
  std::optional<std::string> b;
  static constexpr auto fields() { return std::tuple{field<&Forgot::a>("")}; }
};
struct ForgotFirst {
  std::array<double, 2> a{};
  double b = 0;
  static constexpr auto fields() { return std::tuple{field<&ForgotFirst::b>("")}; }
};
struct ForgotVariant {
  double a = 0;
  std::variant<sample::AdamW, sample::Muon> b;
  static constexpr auto fields() { return std::tuple{field<&ForgotVariant::a>("")}; }
};
struct ForgotEnum {
  double a = 0;
  sample::Format b = sample::Format::kText;
  static constexpr auto fields() { return std::tuple{field<&ForgotEnum::a>("")}; }
};
struct ForgotAll {
  Inner inner;
  static constexpr auto fields() { return std::tuple{}; }
};
struct Twice {
  double a = 0;
  double b = 0;
  static constexpr auto fields() { return std::tuple{field<&Twice::a>(""), field<&Twice::a>("")}; }
};
struct HasType {
  static constexpr std::string_view kind = "x";
  double type = 0;
  static constexpr auto fields() { return std::tuple{field<&HasType::type>("")}; }
};
struct Everything {
  std::array<double, 2> a{};
  Inner b;
  std::optional<Inner> c;
  std::variant<sample::AdamW, sample::Muon> d;
  std::vector<std::string> e;
  RowOf<sample::kVariants> f;
  Auto<std::int64_t> g;
  Bytes h;
  static constexpr auto fields() {
    using E = Everything;
    return std::tuple{field<&E::a>(""), field<&E::b>(""), field<&E::c>(""), field<&E::d>(""),
                      field<&E::e>(""), field<&E::f>(""), field<&E::g>(""), field<&E::h>("")};
  }
};

template <class T>
constexpr bool covered = detail::Covers<T, decltype(T::fields())>::members;

TEST(Coverage, EveryMemberNeedsARow) {
  EXPECT_TRUE(covered<Inner>);
  EXPECT_TRUE(covered<Everything>);
  EXPECT_TRUE(covered<sample::Root>);
  EXPECT_TRUE(covered<sample::Run>);
  EXPECT_TRUE(covered<sample::Plain>);
  EXPECT_FALSE(covered<Forgot>);
  EXPECT_FALSE(covered<ForgotFirst>);
  EXPECT_FALSE(covered<ForgotVariant>);
  EXPECT_FALSE(covered<ForgotEnum>);
  EXPECT_FALSE(covered<ForgotAll>);
}

TEST(Coverage, EveryMemberHasOneRow) {
  EXPECT_TRUE((detail::Covers<Everything, decltype(Everything::fields())>::distinct()));
  EXPECT_FALSE((detail::Covers<Twice, decltype(Twice::fields())>::distinct()));
  EXPECT_FALSE((detail::Covers<HasType, decltype(HasType::fields())>::distinct()));
}

TEST(Constraints, ApplyToMatchingTypesOnly) {
  EXPECT_TRUE((detail::is_numeric<Auto<std::int64_t>>()));
  EXPECT_TRUE((detail::is_numeric<std::vector<double>>()));
  EXPECT_TRUE((detail::is_numeric<std::optional<Bytes>>()));
  EXPECT_FALSE((detail::is_numeric<bool>()));
  EXPECT_FALSE((detail::is_numeric<std::string>()));
  EXPECT_TRUE((detail::has_length<std::optional<std::string>>()));
  EXPECT_FALSE((detail::has_length<double>()));
}

TEST(Description, HasNamesDocsAndMemberAccess) {
  const Section& model = describe<sample::Model>();
  ASSERT_EQ(model.rows.size(), 5U);
  EXPECT_EQ(model.rows[0].name, "d_model");
  EXPECT_EQ(model.rows[0].doc, "Width.");
  EXPECT_EQ(model.rows[0].limits.words(), "greater than 0, a multiple of 8");
  EXPECT_EQ(model.rows[4].affects, Affects::kExecution);
  EXPECT_FALSE(model.rows[0].affects.has_value());
  const sample::Model value;
  EXPECT_EQ(model.rows[1].get(&value), &value.num_heads);
  EXPECT_EQ(model.find("ffn"), &model.rows[2]);
  EXPECT_EQ(model.find("fn"), nullptr);
  EXPECT_EQ(&describe<sample::Model>(), &model);
}

TEST(Description, TheHighestLowerBoundApplies) {
  Row row;
  detail::apply(row, AtLeast{1});
  detail::apply(row, Positive{});
  EXPECT_EQ(row.limits.words(), "of at least 1");
  Row other;
  detail::apply(other, NonNegative{});
  detail::apply(other, Positive{});
  EXPECT_EQ(other.limits.words(), "greater than 0");
}

}  // namespace
}  // namespace sluice::config

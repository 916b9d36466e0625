#include "stage/tree.h"

static bool part_match(struct mw_str pattern, struct mw_str part);
static struct mw_str part_at(struct mw_str path, size_t from);

/* Classic backtracking to the last star only: the time is at most pattern parts times path parts. */
bool mw_glob_match(struct mw_str pattern, struct mw_str path)
{
    size_t pattern_at = 0, path_at = 0;
    size_t star_pattern = SIZE_MAX, star_path = 0;
    while (path_at < path.len) {
        struct mw_str part = part_at(path, path_at);
        bool pattern_left = pattern_at < pattern.len;
        struct mw_str wanted = pattern_left ? part_at(pattern, pattern_at) : MW_STR_NONE;
        if (pattern_left && mw_str_is(wanted, "**")) {
            pattern_at += wanted.len + 1;
            if (pattern_at >= pattern.len)
                return true;
            star_pattern = pattern_at;
            star_path = path_at;
        } else if (pattern_left && part_match(wanted, part)) {
            pattern_at += wanted.len + 1;
            path_at += part.len + 1;
        } else if (star_pattern != SIZE_MAX) {
            star_path += part_at(path, star_path).len + 1;
            path_at = star_path;
            pattern_at = star_pattern;
        } else {
            return false;
        }
    }
    return pattern_at >= pattern.len && path.len > 0;
}

static struct mw_str part_at(struct mw_str path, size_t from)
{
    size_t end = mw_str_find(path, '/', from);
    return mw_str_sub(path, from, (end == SIZE_MAX ? path.len : end) - from);
}

static bool part_match(struct mw_str pattern, struct mw_str part)
{
    size_t p = 0, s = 0, star = SIZE_MAX, star_s = 0;
    while (s < part.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = ++p;
            star_s = s;
        } else if (p < pattern.len && pattern.ptr[p] == part.ptr[s]) {
            p++;
            s++;
        } else if (star != SIZE_MAX) {
            p = star;
            s = ++star_s;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*')
        p++;
    return p >= pattern.len;
}

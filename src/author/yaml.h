/*
 * yaml.h - YAML into the same tape that JSON makes.
 *
 * YAML 1.2 core schema: plain null, ~, true, false, integers and floats mean what they look like; yes, no, on and off are strings; quoted is
 * always a string. NUMBER nodes have their text in JSON's spelling (.5 reads as 0.5), so every tape can be written as JSON.
 * Every node has line and column (1-based; a column counts characters). An alias gives a copy of what its anchor named, with its positions.
 *
 * Refused, with position: a second document, an empty text, the same key twice in a mapping, keys that are not strings (quote them), merge
 * keys (<<), tags outside the core schema, .inf and .nan (JSON has no such number), NUL in strings, an alias inside what it names.
 * Limits: depth MW_JSON_DEPTH_MAX, MW_YAML_NODES_MAX nodes after aliases are copied, MW_YAML_ANCHORS_MAX anchors.
 */
#ifndef MW_YAML_H
#define MW_YAML_H

#include "base/json.h"

#define MW_YAML_NODES_MAX 262144
#define MW_YAML_ANCHORS_MAX 1024 /* each alias looks through them */

/* On failure err says "line L, column C: what" (MW_E_INPUT, or MW_E_LIMIT) and the arena is as it was, but for `exhausted`. */
MW_MUST enum mw_rc mw_yaml_parse(struct mw_arena *arena, struct mw_str text,
                                 struct mw_tape *ret_tape, struct mw_err *err);

#endif

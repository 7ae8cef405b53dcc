/* SPDX-License-Identifier: Apache-2.0 */
/* analysis_stops.c -- words that say nothing of what is looked for: Lucene's 33 for
 * English with the words of questions, and Chinese particles. */
#include "query/analysis/analysis_internal.h"

const char *const qn_qa__stop_words[] = {
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into",
    "is", "it", "no", "not", "of", "on", "or", "such", "that", "the", "their", "then",
    "there", "these", "they", "this", "to", "was", "will", "with",
    /* questions */
    "what", "which", "who", "whom", "whose", "when", "where", "why", "how", "do",
    "does", "did", "can", "could", "should", "would", "has", "have", "had", "been",
    "am", "were", "i", "me", "my", "we", "our", "you", "your", "from", "about",
    "please",
    /* particles that begin or end a question */
    "吗", "呢", "吧", "啊", "呀", "嘛", "啦", "呗", "请问", NULL};

const char *const qn_qa__stop_particles[] = {"的", "了", "么", "着", "得", "地",
                                             "之", "与", "及", "和", "也", "还",
                                             "就", "都", "而", "哦", NULL};

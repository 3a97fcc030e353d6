// The site's search: ranks pages by how many words of a question they have. Sphinx's own wants all of them, so a
// question in somebody's own words finds nothing. Index, stemming and the list of results are Sphinx's.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  if (typeof Search !== "undefined") Search.performTermsSearch = rankedPages;
});

/** Numbers of the pages that have a word (or, where none has it, a longer one that begins so), in text or titles. */
const pagesWith = (word, ...indices) => {
  const found = indices.flatMap((index) => {
    const words = Object.hasOwn(index, word)
      ? [word]
      : word.length < 4 ? [] : Object.keys(index).filter((longer) => longer.startsWith(word));
    return words.flatMap((each) => index[each]);
  });
  return new Set(found);
};

const stemmed = (text) => {
  const stemmer = new Stemmer();
  return new Set(splitQuery(text.toLowerCase()).map((word) => stemmer.stemWord(word)));
};

/** Replaces Sphinx's function of this name: [page, title, anchor, description, score, file, kind] for each result. */
const rankedPages = (words, excluded) => {
  const { terms, titleterms, titles, alltitles, docnames, filenames } = Search._index;
  const lengths = docnames.map(() => 0);
  for (const pages of Object.values(terms)) [pages].flat().forEach((page) => lengths[page]++);
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;

  const rarity = new Map(), having = new Map();
  for (const word of words) {
    having.set(word, pagesWith(word, terms, titleterms));
    rarity.set(word, Math.log(1 + docnames.length / (0.5 + having.get(word).size)));
  }
  const weight = (chosen) => chosen.reduce((sum, word) => sum + rarity.get(word), 0);

  // Of each page the heading that says most of the question.
  const headings = docnames.map(() => ({ said: 0, title: null, anchor: "" }));
  for (const [title, places] of Object.entries(alltitles)) {
    const has = stemmed(title);
    const said = weight([...words].filter((word) => has.has(word))) / Math.sqrt(1 + has.size / 8);
    for (const [page, anchor] of places)
      if (said > headings[page].said) headings[page] = { said, title, anchor: anchor ? "#" + anchor : "" };
  }

  const unwanted = new Set([...excluded].flatMap((word) => [...pagesWith(word, terms, titleterms)]));
  return docnames.flatMap((name, page) => {
    const has = [...words].filter((word) => having.get(word).has(page));
    if (!has.length || unwanted.has(page)) return [];
    const { said, title, anchor } = headings[page];
    const share = weight(has) / weight([...words]);
    const text = weight(has) / (0.5 + 0.5 * lengths[page] / mean);
    const shown = title && title !== titles[page] ? `${titles[page]} > ${title}` : titles[page];
    return [[name, shown, anchor, null, Math.round(20 * share * (text + 3 * said)), filenames[page], "text"]];
  });
};

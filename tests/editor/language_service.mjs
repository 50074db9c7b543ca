// Asks the language service of VS Code's JSON editor what it would show.
// Usage: node language_service.mjs SCHEMA < {"ask": [{"text": …, "complete": offset or null}, …]}
// Prints, for each text, its diagnostics and the labels it would offer at the offset.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.LANGUAGE_SERVICE + "/");
const { getLanguageService, TextDocument } = require("vscode-json-languageservice");

const schema = JSON.parse(readFileSync(process.argv[2], "utf8"));
const asked = JSON.parse(readFileSync(0, "utf8")).ask;
const service = getLanguageService({});
service.configure({ validate: true, schemas: [{ uri: "datapoint", fileMatch: ["*.json"], schema }] });

const answers = [];
for (const { text, complete } of asked) {
  const document = TextDocument.create("file:///store/cases/case.json", "json", 1, text);
  const parsed = service.parseJSONDocument(document);
  const diagnostics = await service.doValidation(document, parsed);
  let labels = [];
  if (complete !== null) {
    const completions = await service.doComplete(document, document.positionAt(complete), parsed);
    labels = completions.items.map((item) => item.label);
  }
  answers.push({
    labels,
    diagnostics: diagnostics.map(({ message, range }) => ({ message, start: range.start, end: range.end })),
  });
}
console.log(JSON.stringify(answers));

// Reads an AsyncAPI document from standard input; prints {"accepted", "messages", "errors"} as JSON.
import { readFileSync } from "node:fs";
import asyncapi from "@asyncapi/parser";

const { document, diagnostics } = await new asyncapi.Parser().parse(readFileSync(0, "utf8"));
const errors = diagnostics.map((one) => `${one.path.join("/")}: ${one.message}`);
console.log(JSON.stringify({ accepted: document !== undefined, messages: document?.allMessages().length ?? 0, errors }));

/** Whether a frame is one of those that `docs/asyncapi.json` describes. */

import { readFileSync } from "node:fs";

type Schema = Record<string, any>;

const { components } = JSON.parse(readFileSync("../docs/asyncapi.json", "utf8"));

/** What is wrong with a frame of the server, by the schema of its type; empty if nothing is. */
export function judge(frame: { type: string }): string[] {
  const known = Object.values<Schema>(components.schemas).filter(
    ({ title, properties }) => !title?.endsWith("Command") && properties?.type?.const === frame.type,
  );
  const found = known.map((schema) => compare(frame, schema, frame.type));
  return found.find((problems) => !problems.length) ?? found[0] ?? [`${frame.type} is not described`];
}

const TYPES: Record<string, (value: any) => boolean> = {
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  array: Array.isArray,
  integer: Number.isInteger,
  null: (value) => value === null,
};

function compare(value: any, schema: Schema, at: string): string[] {
  if (schema["$ref"]) return compare(value, components.schemas[schema["$ref"].split("/").at(-1)], at);
  const choices: Schema[] | undefined = schema["anyOf"] ?? schema["oneOf"];
  if (choices && !choices.some((one) => !compare(value, one, at).length)) return [`${at}: none of its choices`];
  const types: string[] = [schema["type"] ?? []].flat();
  const isOf = (type: string): boolean => TYPES[type]?.(value) ?? typeof value === type;
  if (types.length && !types.some(isOf)) return [`${at}: ${JSON.stringify(value)} is no ${types}`];
  if ("const" in schema && schema["const"] !== value) return [`${at}: not ${schema["const"]}`];
  if (schema["enum"]?.includes(value) === false) return [`${at}: ${value} is unknown`];
  if (schema["pattern"] && typeof value === "string" && !new RegExp(schema["pattern"]).test(value))
    return [`${at}: ${value} does not fit ${schema["pattern"]}`];
  if (Array.isArray(value)) return value.flatMap((one, index) => compare(one, schema["items"] ?? {}, `${at}[${index}]`));
  if (!TYPES["object"]!(value)) return [];
  const missing = (schema["required"] ?? []).filter((key: string) => !(key in value));
  const { properties = {}, allOf = [] } = schema;
  return [
    ...missing.map((key: string) => `${at}.${key} is missing`),
    ...Object.entries(value).flatMap(([key, one]) => compare(one, properties[key] ?? {}, `${at}.${key}`)),
    ...allOf.flatMap((one: Schema) => compare(value, one, at)),
  ];
}

import { constants } from "node:os";
import { parseAst } from "vitest/node";

/** What one source file says about codes of errors. */
export interface CodesOfSource {
  /** Every stable code that the file declares or gives, once each, in the order of the text. */
  readonly codes: readonly string[];
  /** Properties named `code` whose type is any string: whatever they carry cannot be collected. */
  readonly open: readonly string[];
}

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

/**
 * Collects codes from the syntax tree of a TypeScript source, not from its text:
 *
 *   - the string literals of a type that is declared for something named `code`, and of a type alias named `…Code`;
 *   - the string literals given to something named `code`: an initial value, a property of an object, an assignment, a default;
 *     also through `?:`, `??` and `as const`.
 *
 * Not collected: comparisons, `case`, names of errnos (`ENOENT`) as the kernel has them, and what goes to zod's `addIssue`, which has codes of its own.
 */
export function codesOf(text: string): CodesOfSource {
  const codes = new Set<string>();
  const open: string[] = [];
  const add = (found: readonly string[]): void => {
    for (const code of found) if (!isErrno(code)) codes.add(code);
  };
  visit(parseAst(text, { lang: "ts", astType: "ts" }) as unknown as Node, (node, parents) => {
    switch (node.type) {
      case "TSTypeAliasDeclaration":
        if (/Code$/.test(nameOf(node.id))) add(literalsOfType(node.typeAnnotation));
        return;
      case "TSPropertySignature":
      case "PropertyDefinition":
      case "AccessorProperty": {
        if (nameOf(node.key) !== "code") return;
        add(literalsOfType(node.typeAnnotation));
        add(literalsOfValue(node.value));
        if (isAnyString(node.typeAnnotation)) open.push(ownerOf(parents));
        return;
      }
      case "TSParameterProperty": {
        const parameter = node.parameter as Node;
        if (nameOf(parameter) === "code" && isAnyString(parameter.typeAnnotation)) open.push(ownerOf(parents));
        return;
      }
      case "Identifier":
        if (node.name === "code") add(literalsOfType(node.typeAnnotation));
        return;
      case "Property":
        if (nameOf(node.key) === "code" && !parents.some(isZodIssue)) add(literalsOfValue(node.value));
        return;
      case "AssignmentExpression":
        if (nameOf((node.left as Node).property ?? node.left) === "code") add(literalsOfValue(node.right));
        return;
      case "AssignmentPattern":
        if (nameOf(node.left) === "code") add(literalsOfValue(node.right));
    }
  });
  return { codes: [...codes], open };
}

function visit(node: Node, enter: (node: Node, parents: readonly Node[]) => void, parents: readonly Node[] = []): void {
  enter(node, parents);
  const path = [...parents, node];
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) if (isNode(child)) visit(child, enter, path);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

/** Of an identifier, of a string as a key, and of a parameter with a default; else empty. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return "";
  if (node.type === "AssignmentPattern") return nameOf(node.left);
  if (node.type === "Identifier") return String(node.name);
  return node.type === "Literal" && typeof node.value === "string" ? node.value : "";
}

/** Only literals and unions of them: in `Failure["code"]` the literal is the name of a property. */
function literalsOfType(type: unknown): string[] {
  if (!isNode(type)) return [];
  switch (type.type) {
    case "TSTypeAnnotation":
    case "TSParenthesizedType":
      return literalsOfType(type.typeAnnotation);
    case "TSUnionType":
      return (type.types as Node[]).flatMap(literalsOfType);
    case "TSLiteralType":
      return literalsOfValue(type.literal);
    default:
      return [];
  }
}

function literalsOfValue(value: unknown): string[] {
  if (!isNode(value)) return [];
  switch (value.type) {
    case "Literal":
      return typeof value.value === "string" ? [value.value] : [];
    case "ConditionalExpression":
      return [...literalsOfValue(value.consequent), ...literalsOfValue(value.alternate)];
    case "LogicalExpression":
      return [...literalsOfValue(value.left), ...literalsOfValue(value.right)];
    case "AssignmentPattern":
      return literalsOfValue(value.right);
    case "TSAsExpression":
    case "TSSatisfiesExpression":
    case "ParenthesizedExpression":
      return literalsOfValue(value.expression);
    default:
      return [];
  }
}

function isAnyString(annotation: unknown): boolean {
  return isNode(annotation) && (annotation.typeAnnotation as Node).type === "TSStringKeyword";
}

/** The class, interface or alias around a declaration. */
function ownerOf(parents: readonly Node[]): string {
  return parents.map(({ id }) => nameOf(id)).findLast((name) => name !== "") ?? "a type without a name";
}

function isZodIssue(node: Node): boolean {
  return node.type === "CallExpression" && nameOf((node.callee as Node).property) === "addIssue";
}

function isErrno(code: string): boolean {
  return Object.hasOwn(constants.errno, code);
}

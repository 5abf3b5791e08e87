/* SPDX-License-Identifier: MIT */
/*
 * The tables of what modules import, see imports.h. There is one for each DLL
 * that a module imports from: names, and beside them the entries.
 */
#include "imports.h"

#include <string.h>
#include <windows.h>

struct imports {
	const char *module;
	const char *library;
	const IMAGE_THUNK_DATA *name;
	IMAGE_THUNK_DATA *entry;
};

static const IMAGE_IMPORT_DESCRIPTOR *
first_table(const char *module)
{
	const void *dos = module, *nt, *table;

	nt = module + ((const IMAGE_DOS_HEADER *)dos)->e_lfanew;
	table = module +
		((const IMAGE_NT_HEADERS *)nt)
		    ->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT]
		    .VirtualAddress;
	return table;
}

static struct imports
open_table(char *module, const IMAGE_IMPORT_DESCRIPTOR *table)
{
	void *names = module + table->OriginalFirstThunk;
	void *entries = module + table->FirstThunk;

	return (struct imports){module, module + table->Name, names, entries};
}

/* The name of the entry on whose turn it is, "" if it has a number instead, or
 * NULL at the end. */
static const char *
import_name(const struct imports *t)
{
	if (t->name->u1.AddressOfData == 0)
		return NULL;
	if (IMAGE_SNAP_BY_ORDINAL(t->name->u1.Ordinal))
		return "";
	return t->module + t->name->u1.AddressOfData +
	       offsetof(IMAGE_IMPORT_BY_NAME, Name);
}

/* Goes on to the entry of that name. */
static bool
find_import(char *module, const char *name, struct imports *t)
{
	const IMAGE_IMPORT_DESCRIPTOR *table = first_table(module);

	for (; table->Name != 0; table++) {
		const char *other;

		*t = open_table(module, table);
		for (; (other = import_name(t)) != NULL; t->name++, t->entry++)
			if (strcmp(other, name) == 0)
				return true;
	}
	return false;
}

/* The DLL that the program has the library in, or the program. */
static HMODULE
find_library(void)
{
	HMODULE program = GetModuleHandleA(NULL);
	struct imports t;

	return find_import((char *)program, "polling_create", &t)
		   ? GetModuleHandleA(t.library)
		   : program;
}

bool
replace_import(const char *name, any_function *function, void *next)
{
	struct imports t;
	DWORD protection;

	if (!find_import((char *)find_library(), name, &t) ||
	    !VirtualProtect(
		t.entry, sizeof *t.entry, PAGE_READWRITE, &protection))
		return false;
	memcpy(next, &t.entry->u1.Function, sizeof function);
	memcpy(&t.entry->u1.Function, &function, sizeof function);
	(void)VirtualProtect(t.entry, sizeof *t.entry, protection, &protection);
	return true;
}

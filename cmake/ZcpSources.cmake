# SPDX-License-Identifier: Apache-2.0
#
# Targets from the sources of a directory. A directory without sources has no target, and
# what would be built from it is left out, so that the tree builds at each stage.

# zcp_glob(<variable> <pattern>...): the files of this directory, looked at again when built.
function(zcp_glob variable)
	list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
	file(GLOB files CONFIGURE_DEPENDS ${ARGN})
	set(${variable} "${files}" PARENT_SCOPE)
endfunction()

# zcp_object_library(<name> <source>...): objects with the repository's root and include/
# on their path. No sources, no target.
function(zcp_object_library name)
	if(ARGN)
		add_library(${name} OBJECT ${ARGN})
		zcp_internal(${name})
	endif()
endfunction()

# zcp_internal(<target>): it sees the project's own headers.
function(zcp_internal target)
	target_include_directories(${target} PRIVATE
		"${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/include")
endfunction()

# zcp_use_objects(<target> <object library>...): those of them that exist.
# By their files, not as linked libraries: what is linked would have to be exported too.
function(zcp_use_objects target)
	foreach(library IN LISTS ARGN)
		if(TARGET ${library})
			target_sources(${target} PRIVATE $<TARGET_OBJECTS:${library}>)
			if(NOT target STREQUAL "zcp")
				target_link_options(${target} PRIVATE ${ZCP_LTO_OFF})
			endif()
		endif()
	endforeach()
endfunction()
